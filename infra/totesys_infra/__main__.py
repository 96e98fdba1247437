"""`python -m totesys_infra` makes the committed template of the data plane anew."""

from totesys_infra import DATA_PLANE_TEMPLATE
from totesys_infra.stacks.app import data_plane, render

if __name__ == "__main__":
    DATA_PLANE_TEMPLATE.write_text(render(data_plane()), encoding="utf-8")
