"""Charts of the results, as SVG that is the same for the same results."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, LogLocator

from bench.contenders import COUNT, PIPE, PRINT, SCAN, TOTESYS
from bench.figures import Figures, Series
from bench.markdown import number
from bench.measurement import Case, Measurement
from bench.stages.step import LIMIT

# Colours of Okabe and Ito, which everybody can tell apart.
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
    "axes.titlelocation": "left",
    "axes.titlesize": 10,
    "grid.color": "#E5E5E5",
    "legend.frameon": False,
    "ytick.left": False,
}
_ROW_INCHES = 0.3
_WIDTH_INCHES = 9.0


@dataclass(frozen=True)
class Chart:
    """A chart that was drawn into a file."""

    title: str
    file: str


def draw(measurements: Iterable[Measurement], folder: Path) -> list[Chart]:
    """Draw what was measured into `folder`; the charts, in order."""
    figures = Figures(measurements)
    charts = {
        Chart("First load: rows a second", "first_load.svg"): _first_load,
        Chart("Tick: seconds until the last change is visible", "tick.svg"): _tick,
        Chart("Verification of both sides: seconds", "verify.svg"): _verify,
        Chart("Each step beside its limit: rows a second", "stages.svg"): _stages,
    }
    drawn = []
    with matplotlib.rc_context(_STYLE):
        for chart, make in charts.items():
            figure = make(figures)
            if figure is not None:
                figure.suptitle(chart.title, x=0.01, ha="left", weight="bold")
                figure.savefig(folder / chart.file, metadata={"Date": None})
                drawn.append(chart)
    return drawn


def _canvas(rows: int, panels: int = 1) -> tuple[Any, Sequence[Any]]:
    """A figure that is as high as so many rows need."""
    figure: Any = Figure(figsize=(_WIDTH_INCHES, 1.3 + rows * _ROW_INCHES), layout="constrained")
    figure.get_layout_engine().set(w_pad=0.1)
    return figure, figure.subplots(1, panels, sharex=True, sharey=True, squeeze=False)[0]


def _colours(contenders: Iterable[str]) -> Mapping[str, str]:
    least = {**dict.fromkeys((PIPE, SCAN, COUNT, PRINT), _LEAST), TOTESYS: _OURS}
    peers = [name for name in dict.fromkeys(contenders) if name not in least]
    return least | {name: _PEERS[place % len(_PEERS)] for place, name in enumerate(peers)}


def _bar(axes: Any, figures: Figures, place: float, series: Series, colour: str) -> None:
    """A bar as long as the median, with its figure at the end, and a line from the least to the greatest."""
    found = figures.spread(series)
    axes.barh(place, found.median, height=0.8, color=colour, label=series.contender)
    if found.rounds > 1:
        axes.hlines(place, found.least, found.greatest, color="#333333", linewidth=1)
    axes.annotate(number(found.median), (found.greatest, place), xytext=(5, 0), textcoords="offset points", va="center")


def _first_load(figures: Figures) -> Any:
    """A bar for each contender and what it gives, the quickest on top."""
    loads = figures.find(Case.FIRST_LOAD, quantity="rows/s")
    if not loads:
        return None
    loads.sort(key=lambda load: figures.spread(load).median, reverse=True)
    figure = _bars(figures, loads)
    figure.axes[0].xaxis.set_major_formatter(EngFormatter(sep=" "))
    return figure


def _verify(figures: Figures) -> Any:
    """A bar for each bound and each state of the warehouse."""
    found = figures.find(Case.VERIFY, quantity="seconds")
    return _bars(figures, found) if found else None


def _bars(figures: Figures, found: Sequence[Series]) -> Any:
    """A bar for each series, all of one quantity, from top to bottom."""
    figure, (axes,) = _canvas(len(found))
    colours = _colours(series.contender for series in found)
    for place, series in enumerate(found):
        _bar(axes, figures, place, series, colours[series.contender])
    axes.set_yticks(range(len(found)), [f"{series.contender}: {series.subject}" for series in found])
    axes.invert_yaxis()
    axes.margins(x=0.15)
    axes.set_xlabel(found[0].quantity)
    return figure


def _tick(figures: Figures) -> Any:
    """A panel for each number of changed rows, in it a group of bars for each size of the source."""
    ticks = figures.find(Case.TICK, quantity="seconds")
    if not ticks:
        return None
    subjects = list(dict.fromkeys(tick.subject for tick in ticks))
    contenders = list(dict.fromkeys(tick.contender for tick in ticks))
    orders = sorted({tick.orders for tick in ticks})
    colours, group = _colours(contenders), len(contenders) + 1
    figure, panels = _canvas(len(orders) * group, len(subjects))
    for axes, subject in zip(panels, subjects, strict=True):
        for tick in ticks:
            if tick.subject == subject:
                place = orders.index(tick.orders) * group + contenders.index(tick.contender)
                _bar(axes, figures, place, tick, colours[tick.contender])
        axes.set_title(subject)
        axes.set_xlabel("seconds")
        axes.margins(x=0.25)
    middle = (len(contenders) - 1) / 2
    panels[0].set_yticks([place * group + middle for place in range(len(orders))], [f"{n:,} orders" for n in orders])
    panels[0].invert_yaxis()
    _legend(figure, panels[0])
    return figure


def _stages(figures: Figures) -> Any:
    """A line for each step from the product's speed to that of its limit."""
    speeds = figures.find(Case.STAGES, quantity="rows/s")
    if not speeds:
        return None
    steps = list(dict.fromkeys(speed.subject for speed in speeds))
    figure, (axes,) = _canvas(len(steps))
    for place, step in enumerate(steps):
        sides = {speed.contender.startswith(LIMIT): speed for speed in speeds if speed.subject == step}
        medians = {is_limit: figures.spread(speed).median for is_limit, speed in sides.items()}
        axes.hlines(place, min(medians.values()), max(medians.values()), color=_LEAST, linewidth=2, zorder=1)
        for is_limit, median in medians.items():
            name, colour = ("its limit", _LEAST) if is_limit else (TOTESYS, _OURS)
            axes.scatter(median, place, s=60, color=colour, label=name, zorder=2)
    limits = {speed.subject: speed.contender.removeprefix(LIMIT) for speed in speeds if speed.contender != TOTESYS}
    axes.set_yticks(range(len(steps)), [f"{step}  ({limits[step]})" for step in steps])
    axes.invert_yaxis()
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(EngFormatter(sep=" "))
    axes.set_xlabel("rows/s")
    _legend(figure, axes)
    return figure


def _legend(figure: Any, axes: Any) -> None:
    handles, labels = axes.get_legend_handles_labels()
    known = dict(zip(labels, handles, strict=True))
    figure.legend(known.values(), known.keys(), loc="outside upper right", ncols=len(known))
