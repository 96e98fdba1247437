"""docs/comparison.md: its figures are those of the last benchmark."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "comparison.md").read_text(encoding="utf-8")
RESULTS = (ROOT / "bench" / "results.md").read_text(encoding="utf-8")
# A cell of a table that has nothing but figures.
FIGURES = re.compile(r"\| (?P<cell>[\d.,]+(?:(?:,| and) [\d.,]+)*) (?=\|)")


def figures(page: str) -> set[str]:
    return {figure for found in FIGURES.finditer(page) for figure in re.findall(r"[\d.,]*\d", found["cell"])}


def test_each_figure_of_the_comparison_is_one_of_the_benchmark() -> None:
    named = figures(PAGE)
    assert {"34.6", "241", "37.4", "68.5", "1.75", "1.21", "201", "427", "420", "1,980"} == named
    for figure in named:
        assert re.search(rf"(?<![\d.,]){re.escape(figure)}(?![\d.]\d|\d)", RESULTS), figure


def test_the_sizes_of_the_comparison_are_those_of_the_benchmark() -> None:
    for size in re.findall(r"[\d,]+ (?:orders|rows)", PAGE.partition("Measured side by side")[2].partition("## ")[0]):
        number = size.split()[0]
        assert number in RESULTS, size
