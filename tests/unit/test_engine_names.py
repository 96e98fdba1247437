"""The engine names no table of a company: only a model and its simulation do."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from examples.rentals import MODEL as RENTALS
from totesys.model import MODEL as COMPANY

ROOT = Path(__file__).parents[2]
ENGINE = [
    file
    for folder in ("shared", "console", "services", "cli", "infra")
    for file in sorted((ROOT / folder).rglob("*.py"))
    if "shared/totesys/model/" not in file.as_posix() and ".venv" not in file.parts
]
NAMES = {table.name for model in (COMPANY, RENTALS) for table in (*model.sources, *model.tables)}
# No other words: wherever they occur, a table is meant.
COMPOUND = re.compile(rf"\b({'|'.join(sorted(name for name in NAMES if '_' in name))})\b")
# Ordinary words, which name a table where a query or a text consists of them.
QUERIED = re.compile(rf'\b(?:FROM|JOIN|UPDATE|INTO|TABLE) "?({"|".join(sorted(NAMES))})\b')


def named(source: str) -> Iterator[str]:
    """The tables that a module names."""
    yield from COMPOUND.findall(source)
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield from {node.value} & NAMES
            yield from QUERIED.findall(node.value)


@pytest.mark.parametrize("file", ENGINE, ids=lambda file: file.relative_to(ROOT).as_posix())
def test_no_line_of_the_engine_names_a_table_of_a_company(file: Path) -> None:
    assert set(named(file.read_text(encoding="utf-8"))) == set()


def test_a_line_that_names_a_table_is_found() -> None:
    assert set(named('a = "film"\nb = "SELECT 1 FROM rental"\n# fact_payment')) == {"film", "rental", "fact_payment"}
