"""Numbers and tables as Markdown. Pure."""

from collections.abc import Callable, Iterable, Mapping, Sequence

from bench.figures import Figures, Series, Spread

NONE = "–"
Cell = Callable[[Series], str]


def number(value: float) -> str:
    """Three significant digits, all digits of a whole number, and commas between thousands."""
    if value == int(value):
        return f"{value:,.0f}"
    rounded = float(f"{value:.3g}")
    if abs(rounded) >= 100:
        return f"{rounded:,.0f}"
    return f"{rounded:#.3g}" if abs(rounded) >= 0.001 else f"{rounded:.6f}".rstrip("0").rstrip(".")


def spread(found: Spread) -> str:
    """The median, and for several rounds the least and the greatest."""
    if found.rounds == 1:
        return number(found.median)
    return f"{number(found.median)} ({number(found.least)}–{number(found.greatest)})"


def times(ratio: float | None) -> str:
    """A ratio, if there is one."""
    return NONE if ratio is None else f"{number(ratio)}×"


def table(header: Sequence[str], rows: Iterable[Sequence[str]], texts: int = 1) -> str:
    """A table whose first `texts` columns are text; the others are numbers, aligned to the right."""
    rule = ["---"] * texts + ["---:"] * (len(header) - texts)
    return "".join(f"| {' | '.join(cells)} |\n" for cells in (header, rule, *rows))


def pivot(
    figures: Figures,
    series: Iterable[Series],
    labels: Mapping[str, Cell],
    column: Cell,
    extras: Mapping[str, Cell] | None = None,
) -> str:
    """A row per combination of labels and a column per kind of figure; `extras` are of a row's first series."""
    rows: dict[tuple[str, ...], dict[str, Series]] = {}
    for one in series:
        rows.setdefault(tuple(label(one) for label in labels.values()), {})[column(one)] = one
    columns = list(dict.fromkeys(name for row in rows.values() for name in row))
    more = extras or {}

    def cells(label: tuple[str, ...], row: Mapping[str, Series]) -> list[str]:
        first = next(iter(row.values()))
        found = [spread(figures.spread(row[name])) if name in row else NONE for name in columns]
        return [*label, *found, *(extra(first) for extra in more.values())]

    return table([*labels, *columns, *more], (cells(*item) for item in rows.items()), texts=len(labels))
