"""`python -m totesys_infra` regenerates the committed template of the data plane."""

from totesys_infra import DATA_PLANE_TEMPLATE
from totesys_infra.stacks.cdk_app import data_plane, render

if __name__ == "__main__":
    DATA_PLANE_TEMPLATE.write_text(render(data_plane()), encoding="utf-8")
