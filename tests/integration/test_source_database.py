"""The source database that the declarations make."""

from collections.abc import Callable

import asyncpg
import pytest

from totesys.connection import Connection, connect
from totesys.model import MODEL
from totesys.schema import Model
from totesys.table import Column, SourceTable
from totesys.types import BIGINT, INTEGER, TEXT, TIMESTAMP, enum, numeric
from totesys_cli.source_database import create_source

pytestmark = pytest.mark.postgres

COLOUR = enum("Colour", "RED", "it's green")
OWNER = SourceTable("owner", key="owner_id", columns=(Column("owner_id", INTEGER), Column("name", TEXT, nullable=True)))
TOTE = SourceTable(
    "tote",
    key="tote_id",
    columns=(
        Column("tote_id", BIGINT),
        Column("colour", COLOUR),
        Column("price", numeric(10, 2), unique=True),
        Column("owner_id", INTEGER, nullable=True, references="owner", on_delete="SET NULL"),
        Column("made_at", TIMESTAMP, default="current_timestamp"),
    ),
)
SHOP = Model(name="shop", sources=(TOTE, OWNER), tables=())

COLUMNS = """
    SELECT attname, format_type(atttypid, atttypmod), attnotnull, pg_get_expr(adbin, adrelid)
    FROM pg_attribute LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
    WHERE attrelid = $1::text::regclass AND attnum > 0 ORDER BY attnum"""
CONSTRAINTS = """
    SELECT pg_get_constraintdef(oid) FROM pg_constraint
    WHERE conrelid = $1::text::regclass AND contype <> 'n' ORDER BY contype, 1"""


async def columns_of(connection: Connection, table: str) -> list[tuple[object, ...]]:
    return [tuple(row) for row in await connection.fetch(COLUMNS, table)]


async def constraints_of(connection: Connection, table: str) -> list[str]:
    return [row[0] for row in await connection.fetch(CONSTRAINTS, table)]


async def test_tables_are_created_as_declared(database: Callable[[], str]) -> None:
    async with connect("The source", database()) as connection:
        await create_source(connection, SHOP)
        assert await columns_of(connection, "tote") == [
            ("tote_id", "bigint", True, "nextval('tote_tote_id_seq'::regclass)"),
            ("colour", '"Colour"', True, None),
            ("price", "numeric(10,2)", True, None),
            ("owner_id", "integer", False, None),
            ("made_at", "timestamp(3) without time zone", True, "CURRENT_TIMESTAMP"),
        ]
        assert await constraints_of(connection, "tote") == [
            "FOREIGN KEY (owner_id) REFERENCES owner(owner_id) ON DELETE SET NULL",
            "PRIMARY KEY (tote_id)",
            "UNIQUE (price)",
        ]
        labels = await connection.fetchval('SELECT enum_range(NULL::"Colour")::text[]')
        assert labels == ["RED", "it's green"]


async def test_a_schema_of_ones_own_holds_tables_and_types(database: Callable[[], str]) -> None:
    async with connect("The source", database()) as connection:
        await create_source(connection, SHOP, schema='the "shop"')
        tables = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = $1", 'the "shop"')
        assert {row[0] for row in tables} == {"tote", "owner"}
        assert (await columns_of(connection, '"the ""shop""".tote'))[1][1] == '"the ""shop"""."Colour"'
        assert await connection.fetchval("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == 0


async def test_every_table_of_the_company_is_created_with_its_declared_columns(database: Callable[[], str]) -> None:
    async with connect("The source", database()) as connection:
        await create_source(connection, MODEL)
        for table in MODEL.sources:
            found = [(name, kind, required) for name, kind, required, _ in await columns_of(connection, table.name)]
            assert found == [(c.name, c.type.postgres, not c.nullable) for c in table.columns], table.name


async def test_a_database_that_holds_a_table_already_is_left_as_it_was(database: Callable[[], str]) -> None:
    async with connect("The source", database()) as connection:
        await connection.execute("CREATE TABLE tote (it text)")
        with pytest.raises(asyncpg.DuplicateTableError):
            await create_source(connection, SHOP)
        assert await connection.fetchval("SELECT to_regclass('owner')") is None
