"""Whatever value a column of the company's source takes, its row arrives or is quarantined; every other row arrives."""

from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from datetime import date

import pytest

from tests.pipeline import Pipeline
from tests.sources import make_company
from totesys.connection import Connection, connect
from totesys.model import MODEL
from totesys.sql import column_list, ident, literal
from totesys.table import Column, Fact, SourceTable, WarehouseTable
from totesys.types import Kind
from totesys.verify import Verdict, verify
from totesys_cli.local.local_data_plane import LocalDataPlane

KEYS = (-(2**31), -1, 0, 2**31 - 1)
HUGE = 1_200_000
TEXTS = (
    *(chr(code) for code in (*range(1, 33), 127, 0x80, 0x85, 0xFEFF, 0xFFFD, 0xFFFF, 0x1F600, 0x10FFFF)),
    *("", "  x  ", "\\N", "\\.", "\\", "\r\n", '"', '""', '","', "'", ",", "NULL", "null", "NaN", "t", "true", "1"),
    *("2023-02-29", "2024-02-29", "0000-01-01", "0001-01-01", "9999-12-31", "10000-01-01", "infinity", "today", "BC"),
    "\\.\n\\.",
    '"\n,' * (HUGE // 3),
)
HELD = {
    Kind.INT32: tuple(map(str, KEYS)),
    Kind.BOOLEAN: ("true", "false"),
    Kind.DECIMAL: ("0", "0.01", "-0.01", "99999999.99", "-99999999.99"),
    Kind.TIMESTAMP: (
        *("0001-01-01 00:00:00", "9999-12-31 23:59:59.999", "1969-12-31 23:59:59.999", "2024-02-29 24:00:00"),
        *("2016-12-31 23:59:60", "1970-01-01 00:00:00", "1582-10-10 12:00:00"),
    ),
}
NOT_HELD = {
    Kind.DECIMAL: {"NaN": "number"},
    Kind.TIMESTAMP: dict.fromkeys(
        (
            *("infinity", "-infinity", "0001-12-31 23:59:59.999 BC", "4713-01-01 00:00:00 BC"),
            *("10000-01-01 00:00:00", "294276-12-31 23:59:59.999"),
        ),
        "timestamp",
    ),
}


@dataclass(frozen=True)
class Case:
    """A source row with one special value; `fault` names the type if lake and warehouse cannot hold the value."""

    table: SourceTable
    key: int
    column: Column
    text: str | None
    fault: str = ""

    def reason_in(self, table: WarehouseTable) -> str | None:
        """Why the row cannot become one of the warehouse table's; None if it can."""
        made = [c for c in table.columns if f"{self.table.name}.{self.column.name}" in MODEL.source_columns(table, c)]
        kind = self.fault if made else ""
        if self.text is not None and self.column.type.kind is Kind.TEXT and any(c.type.kind is Kind.DATE for c in made):
            kind = "" if is_day(self.text) else "date"
        shown = self.text or ""
        shown = shown if len(shown) <= 100 else f"{shown[:100]}…"
        return f'{self.column.name} is not a valid {kind}: "{shown}"' if kind else None


def is_day(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


def special_values(column: Column) -> Iterator[tuple[str | None, str]]:
    """Each special value of the column's type as Postgres reads it, and the name of the type if it cannot be held."""
    if column.nullable:
        yield None, ""
    if column.type.kind is Kind.TEXT:
        length = 3 if column.type.postgres == "character varying(3)" else HUGE
        yield from ((text, "") for text in column.type.values or TEXTS if len(text) <= length)
        return
    yield from ((text, "") for text in HELD[column.type.kind])
    yield from NOT_HELD.get(column.type.kind, {}).items()


def cases() -> Iterator[Case]:
    """Every special value of every column of every source table; of a key's the rows that have it."""
    for table in MODEL.sources:
        numbers = iter(range(1_000_000, 2_000_000))
        for column in table.columns:
            for text, fault in special_values(column):
                key = int(text or 0) if column.name == table.only_key else next(numbers)
                yield Case(table, key, column, text, fault)


CASES = tuple(cases())


@pytest.fixture
async def pipeline(database: Callable[[], str], data_plane: LocalDataPlane) -> AsyncIterator[Pipeline]:
    """A small company whose warehouse is as of the first run."""
    async with Pipeline(MODEL, data_plane, await make_company(database()), database()) as opened:
        await opened.tick()
        yield opened


@pytest.fixture
async def source(pipeline: Pipeline) -> AsyncIterator[Connection]:
    """A session of the source in which no reference is enforced."""
    async with connect("The source", pipeline.source_dsn, session_replication_role="replica") as connection:
        yield connection


async def copy_template(source: Connection, table: SourceTable, values: dict[str, str]) -> None:
    """The table's first row once more, with these values, as SQL."""
    values |= {c.name: "NULL" for c in table.columns if c.unique and c.nullable and c.name not in values}
    selected = ", ".join(
        f"CAST({values[c.name]} AS {c.type.postgres})" if c.name in values else ident(c.name) for c in table.columns
    )
    await source.execute(
        f"INSERT INTO {ident(table.name)} ({column_list(table.column_names)}) "
        f"SELECT {selected} FROM template_{table.name} ON CONFLICT DO NOTHING"
    )


async def insert(source: Connection, number: int, case: Case) -> None:
    """A row with the case's value; what has to be its own it refers to alone."""
    values = {case.table.only_key: str(case.key)}
    for column in case.table.columns:
        if column.unique and column.references and not column.nullable:
            referenced = MODEL.source(column.references)
            await copy_template(source, referenced, {referenced.only_key: str(number)})
            values[column.name] = str(number)
    values[case.column.name] = "NULL" if case.text is None else literal(case.text)
    await copy_template(source, case.table, values)


async def insert_all(source: Connection) -> None:
    async with source.transaction():
        for table in MODEL.sources:
            await source.execute(
                f"CREATE TEMPORARY TABLE template_{table.name} AS "
                f"SELECT * FROM {ident(table.name)} ORDER BY {ident(table.only_key)} LIMIT 1"
            )
        for number, case in enumerate(CASES, 3_000_000):
            await insert(source, number, case)


async def correct_all(source: Connection) -> None:
    """Each row that is quarantined for some table has the value of the first one again."""
    async with source.transaction():
        for case in CASES:
            if any(case.reason_in(table) for table in tables_of(case.table)):
                name, column = ident(case.table.name), ident(case.column.name)
                await source.execute(
                    f"UPDATE {name} SET {column} = template.{column} FROM template_{case.table.name} AS template "
                    f"WHERE {name}.{ident(case.table.only_key)} = $1",
                    case.key,
                )


def tables_of(source: SourceTable) -> list[WarehouseTable]:
    return MODEL.built_from_first({source.name})


def expected() -> tuple[dict[str, set[str]], dict[str, dict[str, str]]]:
    """By warehouse table the keys that arrive, and the quarantined ones with their reasons."""
    there: dict[str, set[str]] = {table.name: set() for table in MODEL.tables if table.sources}
    quarantined: dict[str, dict[str, str]] = {name: {} for name in there}
    for case in CASES:
        for table in tables_of(case.table):
            reason = case.reason_in(table)
            if reason is None:
                there[table.name].add(str(case.key))
            else:
                quarantined[table.name][str(case.key)] = reason
    return there, quarantined


async def loaded(pipeline: Pipeline, table: WarehouseTable) -> set[str]:
    relation = table.current if isinstance(table, Fact) else table.name
    return {
        row[0] for row in await pipeline.rows(f"SELECT {ident(table.only_key)}::text FROM warehouse.{ident(relation)}")
    }


async def test_a_value_of_any_kind_in_any_column_holds_up_nothing_and_is_named_where_it_cannot_be_held(
    pipeline: Pipeline, source: Connection
) -> None:
    there, quarantined = expected()
    assert sum(map(len, quarantined.values())) > 100
    await insert_all(source)
    await pipeline.tick()
    verification = await verify(pipeline.source_dsn, pipeline.warehouse_dsn, MODEL)
    assert verification.is_equal, [comparison.wrong[:3] for comparison in verification]
    apart = {c.table: {row.key for row in c.apart if row.verdict is Verdict.QUARANTINED} for c in verification}
    for table in MODEL.tables:
        if not table.sources:
            continue
        wrong = quarantined[table.name]
        key = MODEL.source(table.sources[0]).only_key
        found = {row[key]: row["reasons"] for row in await pipeline.quarantine(table.name)}
        assert found == {key: [reason] for key, reason in wrong.items()}, table.name
        assert apart[table.name] == wrong.keys(), table.name
        assert there[table.name] <= (arrived := await loaded(pipeline, table)), table.name
        assert not arrived & wrong.keys(), table.name
    await correct_all(source)
    await pipeline.tick()
    verification = await verify(pipeline.source_dsn, pipeline.warehouse_dsn, MODEL)
    assert (verification.is_equal, verification.quarantined) == (True, 0)
    for name, wrong in quarantined.items():
        assert wrong.keys() <= await loaded(pipeline, MODEL.table(name)), name
