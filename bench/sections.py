"""What the report says of each case. Pure."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import groupby

from bench.cases.loads import STAR
from bench.cases.verification import BOTH_SIDES
from bench.contenders import COUNT, PIPE, PRINT, SCAN, TOTESYS
from bench.figures import Figures, Series
from bench.markdown import NONE, number, spread, table, times
from bench.measurement import Case
from bench.stages.step import LIMIT

Cell = Callable[[Series], str]


def section(case: Case, figures: Figures) -> str:
    """A case that was measured: its heading, what it is of, its tables."""
    tables = "\n".join(_TABLES[case](figures))
    return f"## {case.capitalize()}\n\n{_WHAT[case]} {_extent(case, figures)}\n\n{tables}"


_WHAT = {
    Case.FIRST_LOAD: "Everything of the source into an empty warehouse.",
    Case.TICK: "From the trigger of an extraction until its last change is visible, after so many rows were changed.",
    Case.MEMORY: "The most resident memory of each process in a first load; MB are 1,000,000 bytes.",
    Case.FRESHNESS: "From the commit of a row in the source until it is visible, while the company writes.",
    Case.VERIFY: "The command, with its start, compares every row and column of a loaded warehouse with its source; "
    "beside it Postgres counts, or prints, all rows of both sides: one process a side, both at the same time.",
    Case.STAGES: "The largest table through each step of the product's code, beside the least that could do it.",
    Case.START_AND_IDLE: "How soon the services work, and what they use while nothing changes.",
}


def _extent(case: Case, figures: Figures) -> str:
    """How many orders, and how often each contender had its turn."""
    found = figures.find(case)
    orders = ", ".join(f"{count:,}" for count in dict.fromkeys(series.orders for series in found))
    rounds: dict[str, int] = {}
    for series in found:
        who = "limits" if series.contender.startswith(LIMIT) else series.contender
        rounds[who] = max(rounds.get(who, 0), figures.spread(series).rounds)
    return f"Orders: {orders}. Rounds: {'; '.join(f'{who} {count}' for who, count in rounds.items())}."


def _pivot(
    figures: Figures,
    series: Iterable[Series],
    labels: Mapping[str, Cell],
    column: Cell,
    extras: Mapping[str, Cell] | None = None,
) -> str:
    """A row for each combination of labels, a column for each kind of figure; `extras` are of a row's first series."""
    rows: dict[tuple[str, ...], dict[str, Series]] = {}
    for one in series:
        rows.setdefault(tuple(label(one) for label in labels.values()), {})[column(one)] = one
    columns = list(dict.fromkeys(name for row in rows.values() for name in row))
    more = extras or {}

    def cells(label: tuple[str, ...], row: Mapping[str, Series]) -> list[str]:
        first = next(iter(row.values()))
        found = [spread(figures.spread(row[name])) if name in row else NONE for name in columns]
        return [*label, *found, *(extra(first) for extra in more.values())]

    header = [*labels, *columns, *more]
    return table(header, (cells(label, row) for label, row in rows.items()), texts=len(labels))


def _contender(series: Series) -> str:
    return series.contender


def _subject(series: Series) -> str:
    return series.subject


def _quantity(series: Series) -> str:
    return series.quantity


def _orders(series: Series) -> str:
    return f"{series.orders:,}"


def _first_load(figures: Figures) -> Iterator[str]:
    def of_pipe(series: Series) -> str:
        rate = series._replace(quantity="rows/s")
        return times(figures.ratio(rate._replace(subject=STAR, contender=PIPE), rate))

    def rows(series: Series) -> str:
        return number(figures.rows(series) or 0)

    found = figures.find(Case.FIRST_LOAD)
    yield _pivot(
        figures,
        [series for series in found if series.quantity != "CPU seconds"],
        {"who": _contender, "what": _subject},
        _quantity,
        {"rows": rows, f"time a row / {PIPE}": of_pipe},
    )
    yield "CPU seconds, by process:\n"
    yield _pivot(
        figures, [series for series in found if series.quantity == "CPU seconds"], {"who": _contender}, _subject
    )


def _tick(figures: Figures) -> Iterator[str]:
    found = figures.find(Case.TICK)

    def of(contender: str, other: str) -> Cell:
        def cell(series: Series) -> str:
            return times(figures.ratio(series._replace(contender=contender), series._replace(contender=other)))

        return cell

    peers = [name for name in dict.fromkeys(map(_contender, found)) if name not in {SCAN, TOTESYS}]
    ratios = {f"{TOTESYS} / {SCAN}": of(TOTESYS, SCAN)}
    ratios |= {f"{peer} / {TOTESYS}": of(peer, TOTESYS) for peer in peers}
    yield "Seconds:\n"
    yield _pivot(figures, found, {"orders": _orders, "what": _subject}, _contender, ratios)


def _memory(figures: Figures) -> Iterator[str]:
    yield "Peak MB, by the orders of the source:\n"
    yield _pivot(figures, figures.find(Case.MEMORY), {"who": _contender, "process": _subject}, _orders)


def _freshness(figures: Figures) -> Iterator[str]:
    def figure(series: Series) -> str:
        return f"{series.subject}, {series.quantity}"

    yield _pivot(figures, figures.find(Case.FRESHNESS), {"who": _contender}, figure)


def _verify(figures: Figures) -> Iterator[str]:
    def of(bound: str) -> Cell:
        def cell(series: Series) -> str:
            ours = series._replace(quantity="seconds")
            return times(figures.ratio(ours, ours._replace(contender=bound, subject=BOTH_SIDES)))

        return cell

    ratios = {f"time / {bound}": of(bound) for bound in (COUNT, PRINT)}
    yield _pivot(figures, figures.find(Case.VERIFY), {"who": _contender, "what": _subject}, _quantity, ratios)


def _stages(figures: Figures) -> Iterator[str]:
    found = figures.find(Case.STAGES)
    limits = {series.subject: series.contender for series in found if series.contender.startswith(LIMIT)}

    def limit(series: Series) -> str:
        return limits[series.subject].removeprefix(LIMIT)

    def figure(series: Series) -> str:
        return series.quantity if series.contender == TOTESYS else f"{LIMIT}{series.quantity}"

    def shown(series: Series) -> bool:
        return series.contender == TOTESYS or series.quantity == "rows/s"

    def of_limit(series: Series) -> str:
        rate = series._replace(quantity="rows/s")
        return times(figures.ratio(rate._replace(contender=limits[series.subject]), rate))

    labels = {"step": _subject, "limit": limit}
    yield _pivot(figures, filter(shown, found), labels, figure, {"time / limit": of_limit})


def _start_and_idle(figures: Figures) -> Iterator[str]:
    def unit(series: Series) -> str:
        return series.quantity.partition(" ")[0].rstrip(",")

    for _, kind in groupby(sorted(figures.find(Case.START_AND_IDLE), key=unit, reverse=True), key=unit):
        yield _pivot(figures, kind, {"what": _subject}, _quantity)


_TABLES: Mapping[Case, Callable[[Figures], Iterator[str]]] = {
    Case.FIRST_LOAD: _first_load,
    Case.TICK: _tick,
    Case.MEMORY: _memory,
    Case.FRESHNESS: _freshness,
    Case.VERIFY: _verify,
    Case.STAGES: _stages,
    Case.START_AND_IDLE: _start_and_idle,
}
