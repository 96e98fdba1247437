"""The results as a page of Markdown. Pure: every figure in the text comes from the measurements."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import groupby
from operator import attrgetter
from typing import Any

from bench.figures import Figures, Series
from bench.markdown import Cell, number, pivot, table, times
from bench.measurement import (
    BOTH_SIDES,
    COUNT,
    LIMIT,
    PGCOPYDB,
    PIPE,
    PRINT,
    RAW,
    SCAN,
    SLING,
    STAR,
    TOTESYS,
    Case,
    Measurement,
)
from bench.results_file import Results
from bench.targets import SpeedTarget, targets

_HOW_TO_READ = """A figure is the median of its rounds, followed by the least and the greatest if there were several.
A ratio is the median of the rounds' own ratios: both sides of each were measured in the same round.
"""
# What a contender, by the beginning of its name, leaves out; a raw copy leaves out the star besides.
_LEFT_OUT = {
    PIPE: "references, changes",
    "student": "references, changes",
    "dlt": "references, late commits",
    SLING: "references, late commits",
    PGCOPYDB: "references, changes",
}
_ABOUT = {
    Case.FIRST_LOAD: "Everything in the source, into an empty warehouse.",
    Case.TICK: "From the trigger of an extraction until its last change is visible, after that many rows changed. "
    "The peers append rows with a newer `last_updated` as they are: no star, no check of references, and no row "
    "that was committed late.",
    Case.MEMORY: "Peak resident memory of each process in a first load. MB are 1,000,000 bytes.",
    Case.FRESHNESS: "From the commit of a row in the source until it is visible, while the source is being written to.",
    Case.VERIFY: "The command, including its start, compares every row and column of a warehouse with its source. "
    "Beside it, Postgres counts or prints all rows of both sides, one process a side, both at the same time.",
    Case.STAGES: "The largest table through each step of the product's code, beside the least work that could do it.",
    Case.START_AND_IDLE: "How soon the services work, and what they use while nothing changes.",
}


def report(results: Results, charts: Iterable[tuple[str, str]] = ()) -> str:
    """The whole page. `charts` are titles and addresses, relative to the page."""
    figures = Figures(results.measurements)
    parts = [
        _head(results),
        _targets(targets(figures)),
        *(f"![{title}]({address})\n" for title, address in charts),
        *(section(case, figures) for case in Case if figures.find(case)),
    ]
    return "\n".join(part for part in parts if part)


def _head(results: Results) -> str:
    head, machine = results.head, results.head.machine
    disk = "durable: each commit waits" if head.durable else "not durable: no commit waits"
    facts = {
        "when": f"{head.started:%Y-%m-%d %H:%M} UTC",
        "size": f"{head.size}: {head.about}",
        "machine": f"{machine.cores} cores of {machine.cpu}, {machine.memory_bytes / 1024**3:.0f} GiB of memory",
        "system": machine.system,
        "Postgres": f"{machine.postgres}, {disk} for the disk",
        "Python": machine.python,
        "libraries": ", ".join(f"{name} {version}" for name, version in machine.libraries.items()),
        "verified": _verified(results.measurements),
    }
    early = "" if results.complete else "\nThe run ended early, so some figures are missing.\n"
    failed = "".join(f"\nFailed, so its figures are missing: {failure}\n" for failure in results.failures)
    return f"# Results\n\n{table(['', ''], facts.items(), texts=2)}{early}{failed}\n{_HOW_TO_READ}"


def _verified(measurements: Iterable[Measurement]) -> str:
    compared = [measurement.verified for measurement in measurements if measurement.verified is not None]
    if not compared:
        return "nothing: no warehouse was compared with its source"
    differing = compared.count(False)
    if differing:
        return f"**{differing} of {len(compared)} figures come from a warehouse that differs from its source**"
    return f"{len(compared)} figures come from warehouses that equal their source, every row and column"


def _targets(found: Iterable[SpeedTarget]) -> str:
    rows = [[*target_cells(target), "yes" if target.met else "**missed**"] for target in found]
    return f"## Targets\n\n{table(['target', 'wanted', 'figure', 'met'], rows)}" if rows else ""


def target_cells(target: SpeedTarget) -> tuple[str, str, str]:
    """A target's name, the wanted value, and the figure."""
    unit = target.unit if target.unit == "×" else f" {target.unit}"
    aim = "" if target.aim is None else f" (aim: {number(target.aim)}{unit})"
    return target.name, f"{target.sign} {number(target.bound)}{unit}{aim}", f"{number(target.figure)}{unit}"


def section(case: Case, figures: Figures) -> str:
    """A case that was measured: its heading, its extent, its tables."""
    tables = "\n".join(_TABLES[case](figures))
    return f"## {case.capitalize()}\n\n{_ABOUT[case]} {_extent(case, figures)}\n\n{tables}"


def _extent(case: Case, figures: Figures) -> str:
    """The numbers of orders, and the rounds of each contender."""
    found = figures.find(case)
    orders = ", ".join(f"{count:,}" for count in dict.fromkeys(series.orders for series in found))
    rounds: dict[str, int] = {}
    for series in found:
        who = "limits" if series.contender.startswith(LIMIT) else series.contender
        rounds[who] = max(rounds.get(who, 0), figures.spread(series).rounds)
    return f"Orders: {orders}. Rounds: {'; '.join(f'{who} {count}' for who, count in rounds.items())}."


_contender, _subject, _quantity = (attrgetter(name) for name in ("contender", "subject", "quantity"))


def _orders(series: Series) -> str:
    return f"{series.orders:,}"


def _ratio(figures: Figures, own: Mapping[str, Any], other: Mapping[str, Any]) -> Cell:
    """The ratio of two series; each differs from a row's series in the named fields."""
    return lambda series: times(figures.ratio(series._replace(**own), series._replace(**{**own, **other})))


def _first_load(figures: Figures) -> Iterator[str]:
    def of_pipe(series: Series) -> str:
        rate = series._replace(quantity="rows/s")
        return times(figures.ratio(rate._replace(subject=STAR, contender=PIPE), rate))

    found = figures.find(Case.FIRST_LOAD)
    yield pivot(
        figures,
        [series for series in found if series.quantity != "CPU seconds"],
        {"who": _contender, "what": _subject},
        _quantity,
        {
            "rows": lambda series: number(figures.rows(series) or 0),
            f"time a row / {PIPE}": of_pipe,
            "left out": _left_out,
        },
    )
    yield "CPU seconds, by process:\n"
    yield pivot(figures, figures.find(Case.FIRST_LOAD, quantity="CPU seconds"), {"who": _contender}, _subject)


def _left_out(series: Series) -> str:
    parts = [text for name, text in _LEFT_OUT.items() if series.contender.startswith(name)]
    return ", ".join(["star"] * (series.subject == RAW) + parts) or "–"


def _tick(figures: Figures) -> Iterator[str]:
    found = figures.find(Case.TICK)
    peers = [name for name in dict.fromkeys(map(_contender, found)) if name not in {SCAN, TOTESYS}]
    ratios = {f"{TOTESYS} / {SCAN}": _ratio(figures, {"contender": TOTESYS}, {"contender": SCAN})}
    ratios |= {f"{peer} / {TOTESYS}": _ratio(figures, {"contender": peer}, {"contender": TOTESYS}) for peer in peers}
    yield "Seconds:\n"
    yield pivot(figures, found, {"orders": _orders, "what": _subject}, _contender, ratios)


def _memory(figures: Figures) -> Iterator[str]:
    yield "Peak MB, by the orders of the source:\n"
    yield pivot(figures, figures.find(Case.MEMORY), {"who": _contender, "process": _subject}, _orders)


def _freshness(figures: Figures) -> Iterator[str]:
    found = figures.find(Case.FRESHNESS)
    yield pivot(figures, found, {"who": _contender}, lambda series: f"{series.subject}, {series.quantity}")


def _verify(figures: Figures) -> Iterator[str]:
    ratios = {
        f"time / {bound}": _ratio(figures, {"quantity": "seconds"}, {"contender": bound, "subject": BOTH_SIDES})
        for bound in (COUNT, PRINT)
    }
    yield pivot(figures, figures.find(Case.VERIFY), {"who": _contender, "what": _subject}, _quantity, ratios)


def _stages(figures: Figures) -> Iterator[str]:
    found = figures.find(Case.STAGES)
    limits = {series.subject: series.contender for series in found if series.contender.startswith(LIMIT)}

    def of_limit(series: Series) -> str:
        rate = series._replace(quantity="rows/s")
        return times(figures.ratio(rate._replace(contender=limits[series.subject]), rate))

    yield pivot(
        figures,
        [series for series in found if series.contender == TOTESYS or series.quantity == "rows/s"],
        {"step": _subject, "limit": lambda series: limits[series.subject].removeprefix(LIMIT)},
        lambda series: series.quantity if series.contender == TOTESYS else f"{LIMIT}{series.quantity}",
        {"time / limit": of_limit},
    )


def _start_and_idle(figures: Figures) -> Iterator[str]:
    def unit(series: Series) -> str:
        return series.quantity.partition(" ")[0].rstrip(",")

    for _, kind in groupby(sorted(figures.find(Case.START_AND_IDLE), key=unit, reverse=True), key=unit):
        yield pivot(figures, kind, {"what": _subject}, _quantity)


_TABLES: Mapping[Case, Callable[[Figures], Iterator[str]]] = {
    Case.FIRST_LOAD: _first_load,
    Case.TICK: _tick,
    Case.MEMORY: _memory,
    Case.FRESHNESS: _freshness,
    Case.VERIFY: _verify,
    Case.STAGES: _stages,
    Case.START_AND_IDLE: _start_and_idle,
}
