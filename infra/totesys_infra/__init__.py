"""The CDK app, and the template that it makes for the data plane."""

from importlib.resources import files


def data_plane_template() -> str:
    """The data plane's CloudFormation template, as JSON text, as it is committed."""
    return (files(__name__) / "data-plane.json").read_text(encoding="utf-8")
