"""The results page with its charts, as SVG that is the same for the same results."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter

from bench.figures import Figures, Series
from bench.history import read_history
from bench.history_chart import FILE, TITLE, draw_history
from bench.markdown import number
from bench.measurement import COUNT, LIMIT, PIPE, PRINT, SCAN, TOTESYS, Case
from bench.results_file import Results
from bench.results_page import report

PAGE = "results.md"
CHARTS = "charts"
# The colours of Okabe and Ito, which colour-blind people can tell apart.
_OURS, _LEAST, _PEERS = "#0072B2", "#999999", ("#E69F00", "#D55E00", "#CC79A7", "#009E73")
_STYLE: dict[str, Any] = {
    "svg.hashsalt": "totesys",
    "font.size": 10,
    "axes.axisbelow": True,
    "axes.edgecolor": "#666666",
    "axes.grid": True,
    "axes.grid.axis": "x",
    "axes.spines.left": False,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "grid.color": "#E5E5E5",
    "ytick.left": False,
}
_ROW_INCHES = 0.3
_WIDTH_INCHES = 9.0


@dataclass(frozen=True)
class Chart:
    """A bar for each series of a case with one quantity; `label` names a bar."""

    case: Case
    quantity: str
    title: str
    file: str
    label: Callable[[Series], str] = lambda series: f"{series.contender}: {series.subject}"
    is_sorted: bool = False
    scale: str = "linear"


CHARTS_OF_CASES = (
    Chart(Case.FIRST_LOAD, "rows/s", "First load: rows a second", "first_load.svg", is_sorted=True),
    Chart(
        Case.TICK,
        "seconds",
        "Tick: seconds until the last change is visible",
        "tick.svg",
        lambda series: f"{series.orders:,} orders, {series.subject}: {series.contender}",
    ),
    Chart(Case.VERIFY, "seconds", "Verification of both sides: seconds", "verify.svg"),
    Chart(
        Case.STAGES,
        "rows/s",
        "Each step beside its limit: rows a second",
        "stages.svg",
        lambda series: f"{series.subject}: {series.contender.removeprefix(LIMIT)}",
        scale="log",
    ),
)


def write_page(folder: Path, results: Results) -> None:
    """Draw the charts and write the page beside the results; charts of an earlier run are removed."""
    charts, figures = folder / CHARTS, Figures(results.measurements)
    charts.mkdir(exist_ok=True)
    for old in charts.glob("*.svg"):
        old.unlink()
    drawn = [chart for chart in CHARTS_OF_CASES if draw(chart, figures, charts)]
    named = [(chart.title, f"{CHARTS}/{chart.file}") for chart in drawn]
    with matplotlib.rc_context(_STYLE | {"axes.grid.axis": "y"}):
        if draw_history(read_history(folder), charts):
            named.append((TITLE, f"{CHARTS}/{FILE}"))
    (folder / PAGE).write_text(report(results, named))


def draw(chart: Chart, figures: Figures, folder: Path) -> bool:
    """Draw a chart into `folder`, if its case was measured."""
    found = figures.find(chart.case, quantity=chart.quantity)
    if not found:
        return False
    if chart.is_sorted:
        found.sort(key=lambda series: figures.spread(series).median, reverse=True)
    with matplotlib.rc_context(_STYLE):
        figure = _bars(figures, found, [chart.label(series) for series in found])
        figure.axes[0].set_xscale(chart.scale)
        figure.axes[0].xaxis.set_major_formatter(EngFormatter(sep=" "))
        figure.suptitle(chart.title, x=0.01, ha="left", weight="bold")
        figure.savefig(folder / chart.file, metadata={"Date": None})
    return True


def _bars(figures: Figures, found: Sequence[Series], labels: Sequence[str]) -> Any:
    """Bars from top to bottom, each as long as its median, with a line from the least to the greatest."""
    figure: Any = Figure(figsize=(_WIDTH_INCHES, 1.3 + len(found) * _ROW_INCHES), layout="constrained")
    figure.get_layout_engine().set(w_pad=0.1)
    axes = figure.subplots()
    colours = _colours(series.contender for series in found)
    for place, series in enumerate(found):
        spread = figures.spread(series)
        axes.barh(place, spread.median, height=0.8, color=colours[series.contender])
        if spread.rounds > 1:
            axes.hlines(place, spread.least, spread.greatest, color="#333333", linewidth=1)
        end = (spread.greatest, place)
        axes.annotate(number(spread.median), end, xytext=(5, 0), textcoords="offset points", va="center")
    axes.set_yticks(range(len(found)), labels)
    axes.invert_yaxis()
    axes.margins(x=0.15)
    axes.set_xlabel(found[0].quantity)
    return figure


def _colours(contenders: Iterable[str]) -> Mapping[str, str]:
    colours, peers = {TOTESYS: _OURS, **dict.fromkeys((PIPE, SCAN, COUNT, PRINT), _LEAST)}, iter(_PEERS * 9)
    for name in contenders:
        if name not in colours:
            colours[name] = _LEAST if name.startswith(LIMIT) else next(peers)
    return colours
