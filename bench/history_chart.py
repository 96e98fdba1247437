"""The chart of the ratios over commits."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from bench.history import FullRun

FILE = "history.svg"
TITLE = "Ratios over commits"
_COLUMNS, _WIDTH_INCHES, _ROW_INCHES = 2, 9.0, 1.6


def draw_history(runs: Sequence[FullRun], folder: Path) -> bool:
    """Draw a small chart for each ratio of the newest run into `folder`, if there is any run."""
    if not runs or not runs[-1].ratios:
        return False
    names = list(runs[-1].ratios)
    rows = -(-len(names) // _COLUMNS)
    figure: Any = Figure(figsize=(_WIDTH_INCHES, 0.6 + rows * _ROW_INCHES), layout="constrained")
    panels = list(figure.subplots(rows, _COLUMNS, squeeze=False).flat)
    for name, axes in zip(names, panels, strict=False):
        found = [(run.commit, run.ratios[name]) for run in runs if name in run.ratios]
        # By place: two runs can be of one commit.
        axes.plot(range(len(found)), [ratio for _, ratio in found], color="#0072B2", marker="o")
        axes.set_xticks(range(len(found)), [commit for commit, _ in found], rotation=20, ha="right", fontsize=7)
        axes.set_title(name, fontsize=8, loc="left")
        axes.set_ylim(bottom=0)
    for axes in panels[len(names) :]:
        axes.set_axis_off()
    figure.suptitle(TITLE, x=0.01, ha="left", weight="bold")
    figure.savefig(folder / FILE, metadata={"Date": None})
    return True
