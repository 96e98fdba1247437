"""Numbers and tables as Markdown. Pure."""

from collections.abc import Iterable, Sequence

from bench.figures import Spread

NONE = "–"


def number(value: float) -> str:
    """Three digits that matter, all of a whole number, and commas between thousands."""
    if value == int(value):
        return f"{value:,.0f}"
    rounded = float(f"{value:.3g}")
    if abs(rounded) >= 100:
        return f"{rounded:,.0f}"
    return f"{rounded:#.3g}" if abs(rounded) >= 0.001 else f"{rounded:.6f}".rstrip("0").rstrip(".")


def spread(found: Spread) -> str:
    """The median, and the least and the greatest where there were several rounds."""
    if found.rounds == 1:
        return number(found.median)
    return f"{number(found.median)} ({number(found.least)}–{number(found.greatest)})"


def times(ratio: float | None) -> str:
    """A ratio, if there is one."""
    return NONE if ratio is None else f"{number(ratio)}×"


def table(header: Sequence[str], rows: Iterable[Sequence[str]], texts: int = 1) -> str:
    """A table whose first `texts` columns are text; the others are numbers, which stand at the right."""
    rule = ["---"] * texts + ["---:"] * (len(header) - texts)
    return "".join(f"| {' | '.join(cells)} |\n" for cells in (header, rule, *rows))
