"""No code outside the model names one of its tables or columns."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from totesys.model import MODEL
from totesys.table import Fact

ROOT = Path(__file__).parents[2]
PLACES = ("shared/totesys", "services", "cli")
MODEL_FOLDER = ROOT / "shared/totesys/model"

TABLES = {table.name for table in (*MODEL.sources, *MODEL.tables)}
COLUMNS = {name for table in (*MODEL.sources, *MODEL.tables) for name in table.column_names}
RECORD_IDS = {table.record_id for table in MODEL.facts}
VIEWS = {table.current for table in MODEL.tables if isinstance(table, Fact)}
# A name of several words is one of the model's wherever it stands. One of a single word may be plain English:
# it is a name where a text is nothing else, or where SQL expects a table.
COMPOUND = {name for name in TABLES | COLUMNS | RECORD_IDS | VIEWS if "_" in name}
SINGLE_TABLES = TABLES - COMPOUND

WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
TABLE_IN_SQL = re.compile(r'\b(?:FROM|JOIN|INTO|UPDATE|TABLE)\s+(?:\w+\.)?"?(\w+)')


def model_names_in(code: str) -> set[str]:
    """The names of the model in Python code, in strings or as identifiers."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(code)):
        found.update(COMPOUND.intersection(_identifiers(node)))
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            found.update(COMPOUND.intersection(WORD.findall(node.value)))
            found.update(SINGLE_TABLES.intersection([node.value, *TABLE_IN_SQL.findall(node.value)]))
    return found


def _identifiers(node: ast.AST) -> Iterator[str]:
    for name in ("id", "attr", "arg", "name"):
        value = getattr(node, name, None)
        if isinstance(value, str):
            yield value


def modules() -> list[Path]:
    files = [path for place in PLACES for path in (ROOT / place).rglob("*.py")]
    return sorted(path for path in files if MODEL_FOLDER not in path.parents)


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_nothing_outside_the_model_names_a_table_or_a_column(path: Path) -> None:
    assert model_names_in(path.read_text()) == set()


@pytest.mark.parametrize(
    ("code", "name"),
    [
        ('key = "counterparty_id"', "counterparty_id"),
        ('query = f"SELECT max(last_updated) FROM {table}"', "last_updated"),
        ("rows.select(sales_order_id=1)", "sales_order_id"),
        ("def build_it(staff_id): ...", "staff_id"),
        ("frame.agreed_payment_date", "agreed_payment_date"),
        ('"""Reads dim_date."""', "dim_date"),
        ('tables = ["staff"]', "staff"),
        ('query = "SELECT * FROM transaction"', "transaction"),
        ('query = f"UPDATE {schema}.design SET x = 1" "INSERT INTO public.payment"', "payment"),
        ('"SELECT sales_record_id"', "sales_record_id"),
    ],
)
def test_a_planted_name_is_found(code: str, name: str) -> None:
    assert name in model_names_in(code)


@pytest.mark.parametrize(
    "code",
    [
        "async with connection.transaction(): ...",
        '"""Begin the transaction; by design, the address of the staff is paid in a currency."""',
        'message = f"transaction {number} is in the location of the year"',
        "# counterparty_id",
    ],
)
def test_plain_english_is_no_name(code: str) -> None:
    assert model_names_in(code) == set()
