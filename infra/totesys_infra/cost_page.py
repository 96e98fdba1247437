"""Generates the tables in docs/cost.md.

`python -m totesys_infra.cost_page` prints them. Given the path of a page, it inserts them into that page.
"""

import sys
from collections.abc import Mapping
from pathlib import Path

from totesys_infra import prices
from totesys_infra.cost import month, options, total
from totesys_infra.prices import Price
from totesys_infra.sizing import PRESETS


def tables() -> Mapping[str, str]:
    """The page's tables as Markdown, by the name of their marker."""
    bills = [month(sizing) for sizing in PRESETS.values()]
    rows = {line: [bill[line] for bill in bills] for line in bills[0]}
    rows["**total**"] = [total(sizing) for sizing in PRESETS.values()]
    choices = [options(sizing) for sizing in PRESETS.values()]
    return {
        "month": _table(rows, signed=False),
        "options": _table({line: [each[line] for each in choices] for line in choices[0]}, signed=True),
        "prices": "\n".join(["| unit | USD | source | as of |", "|---|---:|---|---|", *map(_price, prices.ALL)]),
    }


def _table(rows: Mapping[str, list[float]], *, signed: bool) -> str:
    head = [f"| USD a month | {' | '.join(PRESETS)} |", f"|---|{'---:|' * len(PRESETS)}"]
    form = "{:+.2f}" if signed else "{:.2f}"
    return "\n".join(
        head + [f"| {line} | {' | '.join(form.format(usd + 0.0) for usd in values)} |" for line, values in rows.items()]
    )


def _price(price: Price) -> str:
    usd = f"{price.usd:.7f}".rstrip("0")
    whole, _, cents = usd.partition(".")
    return f"| {price.unit} | {whole}.{cents.ljust(2, '0')} | {price.source or 'from memory'} | {price.as_of or '–'} |"


def filled(page: str) -> str:
    """The page with each table inserted between its markers."""
    for marker, table in tables().items():
        before, opening, rest = page.partition(f"<!-- {marker} -->\n")
        _, closing, after = rest.partition("<!-- end -->")
        page = f"{before}{opening}{table}\n{closing}{after}"
    return page


def main(page: str | None = None) -> None:
    """Print the tables, or insert them into the page at a path."""
    if page is None:
        print("\n\n".join(tables().values()))
    else:
        path = Path(page)
        path.write_text(filled(path.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
