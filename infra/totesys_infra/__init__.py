"""The CDK app, and the template that it makes for the data plane. Only `stacks` needs the CDK."""

from pathlib import Path

DATA_PLANE_TEMPLATE = Path(__file__).with_name("data-plane.json")


def data_plane_template() -> str:
    """The data plane's CloudFormation template, as JSON text, as it is committed."""
    return DATA_PLANE_TEMPLATE.read_text(encoding="utf-8")
