"""The CDK app, the deployment code, and the data plane's template. Only `stacks` needs the CDK."""

from pathlib import Path

DATA_PLANE_TEMPLATE = Path(__file__).with_name("data-plane.json")


def data_plane_template() -> str:
    """The committed CloudFormation template of the data plane, as JSON."""
    return DATA_PLANE_TEMPLATE.read_text(encoding="utf-8")
