"""The warehouse's DDL: what it makes is what the declarations say, and making it again harms nothing."""

import re
from collections.abc import AsyncIterator, Callable
from dataclasses import replace

import asyncpg
import pytest

from docs.build.data_dictionary import to_markdown
from tests.models import shops, values
from totesys.connection import Connection, connect
from totesys.model import MODEL
from totesys.schema import ETL, Model
from totesys.table import Column, Fact, WarehouseTable
from totesys.types import TEXT
from totesys_load import ddl
from totesys_load.compatibility import missing_indexes, problems, write_plan
from totesys_load.warehouse_catalog import read_warehouse_catalog
from totesys_load.warehouse_setup import prepare

pytestmark = pytest.mark.postgres

SCHEMA = "warehouse"
EVERYTHING = """
    SELECT c.oid, n.nspname, c.relname, c.relkind, c.relfilenode FROM pg_class c
    JOIN pg_namespace n ON n.oid = c.relnamespace WHERE nspname !~ '^(pg_|information_schema)' ORDER BY 1"""


@pytest.fixture
async def warehouse(database: Callable[[], str]) -> AsyncIterator[Connection]:
    async with connect("The warehouse", database()) as connection:
        yield connection


async def prepared(connection: Connection, model: Model) -> list[asyncpg.Record]:
    """Everything that is there after the warehouse was prepared."""
    async with connection.transaction():
        await prepare(connection, model, SCHEMA, "postgresql://it")
    return await connection.fetch(EVERYTHING)


@pytest.mark.parametrize("model", [MODEL, shops.MODEL, values.MODEL], ids=lambda model: str(model.name))
async def test_a_new_warehouse_is_as_declared_and_is_made_once(warehouse: Connection, model: Model) -> None:
    first = await prepared(warehouse, model)
    assert await prepared(warehouse, model) == first
    catalog = await read_warehouse_catalog(warehouse, ddl.names(model, SCHEMA))
    assert problems(model, SCHEMA, catalog) == []
    assert missing_indexes(model, SCHEMA, catalog) == []
    assert ddl.missing(model, SCHEMA, catalog) == ""
    assert all(write_plan(model, SCHEMA, catalog).copies_into(table) for table in model.tables)
    for table in model.tables:
        columns = {column.name: column.kind for column in catalog.relations[SCHEMA, table.name].columns}
        record_id = {table.record_id: "bigint"} if isinstance(table, Fact) else {}
        assert columns == {**record_id, **{column.name: column.type.postgres for column in table.columns}}


async def test_views_of_an_earlier_release_are_made_anew(warehouse: Connection) -> None:
    fact = MODEL.facts[0]
    await prepared(warehouse, MODEL)
    current, star = f"{SCHEMA}.{fact.current}", f"{fact.star}.{fact.current}"
    await warehouse.execute(f"CREATE OR REPLACE VIEW {current} AS SELECT * FROM {SCHEMA}.{fact.name}")
    await warehouse.execute(f"COMMENT ON VIEW {current} IS 'The newest version of each row'")
    await warehouse.execute(f"COMMENT ON VIEW {star} IS NULL")
    await prepared(warehouse, MODEL)
    views = await warehouse.fetch(
        "SELECT pg_get_viewdef(v::regclass), obj_description(v::regclass) FROM unnest($1::text[]) v", [current, star]
    )
    assert "DISTINCT ON" in views[0][0]
    assert [view[1] for view in views] == [
        f"The newest version of each {fact.key} that is not deleted",
        f"All of {current}",
    ]


async def test_every_table_has_its_key_and_every_star_its_views(warehouse: Connection) -> None:
    relations = {(row["nspname"], row["relname"]) for row in await prepared(warehouse, MODEL)}
    for star, tables in MODEL.stars.items():
        assert {(star, table.name) for table in tables} <= relations
        assert {(star, table.current) for table in tables if isinstance(table, Fact)} <= relations
    keys = await warehouse.fetch(
        "SELECT conrelid::regclass::text AS name, pg_get_constraintdef(oid) AS key FROM pg_constraint "
        "WHERE contype = 'p' AND connamespace = $1::text::regnamespace",
        SCHEMA,
    )
    assert {row["name"]: row["key"] for row in keys} == {
        f"{SCHEMA}.{t.name}": f"PRIMARY KEY ({t.record_id if isinstance(t, Fact) else t.key})" for t in MODEL.tables
    }


async def test_the_database_says_what_each_table_and_column_means(warehouse: Connection) -> None:
    await prepared(warehouse, MODEL)
    comments = await warehouse.fetch(
        "SELECT c.relname AS name, objsubid AS place, description FROM pg_description "
        "JOIN pg_class c ON c.oid = objoid AND c.tableoid = classoid "
        "WHERE relkind = 'r' AND relnamespace = $1::text::regnamespace",
        SCHEMA,
    )
    descriptions = {(t.name, place): c.description for t in MODEL.tables for place, c in enumerate(t.stored_columns, 1)}
    assert {(row["name"], row["place"]): row["description"] for row in comments} == descriptions | {
        (table.name, 0): table.description for table in MODEL.tables
    }


COLUMN_COMMENTS = """
    SELECT relnamespace::regnamespace::text AS schema, relname, attname, col_description(attrelid, attnum)
    FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid
    WHERE relkind = 'v' AND attnum > 0 AND relnamespace::regnamespace::text !~ '^(pg_|information_schema)'"""


def described(model: Model) -> dict[tuple[str, str, str], str | None]:
    """The description of each column of each view: the current views, and the views of each star."""
    shown: list[tuple[str, str, WarehouseTable]] = [(SCHEMA, fact.current, fact) for fact in model.facts]
    for star, tables in model.stars.items():
        shown += [(star, table.name, table) for table in tables]
        shown += [(star, table.current, table) for table in tables if isinstance(table, Fact)]
    return {(schema, name, c.name): c.description or None for schema, name, t in shown for c in t.stored_columns}


async def comments(connection: Connection) -> dict[tuple[str, str, str], str | None]:
    return {tuple(row)[:3]: row[3] for row in await connection.fetch(COLUMN_COMMENTS)}


@pytest.mark.parametrize("model", [MODEL, shops.MODEL, values.MODEL], ids=lambda model: str(model.name))
async def test_every_column_of_every_view_is_described(warehouse: Connection, model: Model) -> None:
    await prepared(warehouse, model)
    assert await comments(warehouse) == described(model)
    if model is MODEL:
        assert None not in described(model).values()


@pytest.mark.parametrize("comment", ["NULL", "'What the release before wrote'"])
async def test_a_view_of_an_earlier_release_is_described_without_being_replaced(
    warehouse: Connection, comment: str
) -> None:
    before = await prepared(warehouse, MODEL)
    for schema, name, column in described(MODEL):
        await warehouse.execute(f"COMMENT ON COLUMN {schema}.{name}.{column} IS {comment}")
    queries = "SELECT ev_class, xmin::text FROM pg_rewrite ORDER BY 1"
    written = await warehouse.fetch(queries)
    assert await prepared(warehouse, MODEL) == before
    assert await comments(warehouse) == described(MODEL)
    assert await warehouse.fetch(queries) == written


async def test_comments_on_a_view_of_another_role_stay(warehouse: Connection) -> None:
    star = MODEL.facts[0].star
    await prepared(warehouse, MODEL)
    await warehouse.execute(f"COMMENT ON COLUMN {star}.{MODEL.facts[0].name}.{MODEL.facts[0].key} IS NULL")
    catalog = await read_warehouse_catalog(warehouse, ddl.names(MODEL, SCHEMA))
    foreign = {key: replace(relation, owned=False) for key, relation in catalog.relations.items()}
    assert ddl.missing(MODEL, SCHEMA, catalog)
    assert ddl.missing(MODEL, SCHEMA, replace(catalog, relations=foreign)) == ""


@pytest.mark.parametrize("model", [MODEL, shops.MODEL], ids=lambda model: str(model.name))
async def test_the_examples_of_the_data_dictionary_can_be_asked(warehouse: Connection, model: Model) -> None:
    await prepared(warehouse, model)
    examples = re.findall(r"```sql\n(.*?)```", to_markdown(model), re.DOTALL)
    assert examples
    for example in examples:
        await warehouse.fetch(example)


async def test_a_view_or_a_table_that_went_missing_is_made_again(warehouse: Connection) -> None:
    before = await prepared(warehouse, MODEL)
    fact = MODEL.facts[0]
    dimension = next(table for table in MODEL.stars[fact.star] if not isinstance(table, Fact))
    await warehouse.execute(f"DROP VIEW {fact.star}.{fact.current}; DROP TABLE {SCHEMA}.{dimension.name} CASCADE")
    after = await prepared(warehouse, MODEL)
    assert {(row["nspname"], row["relname"]) for row in after} == {(row["nspname"], row["relname"]) for row in before}


async def test_a_column_that_the_model_gains_is_added_and_shown_or_named_where_load_may_not(
    warehouse: Connection,
) -> None:
    fact = MODEL.facts[0]
    gained = replace(fact, columns=(*fact.columns, Column("remark", TEXT, description="What was said")))
    grown = replace(MODEL, tables=tuple(gained if table is fact else table for table in MODEL.tables))
    await prepared(warehouse, MODEL)
    catalog = await read_warehouse_catalog(warehouse, ddl.names(grown, SCHEMA))
    foreign = {key: replace(relation, owned=False) for key, relation in catalog.relations.items()}
    missing = [f"column {fact.name}.remark is missing: add it as text"]
    assert problems(grown, SCHEMA, replace(catalog, relations=foreign)) == missing
    before_any_run = {key: relation for key, relation in catalog.relations.items() if key[0] != ETL}
    assert problems(grown, SCHEMA, replace(catalog, relations=before_any_run)) == missing
    first = await prepared(warehouse, grown)
    assert await prepared(warehouse, grown) == first
    for relation in (f"{SCHEMA}.{fact.name}", f"{SCHEMA}.{fact.current}", f"{fact.star}.{fact.current}"):
        await warehouse.fetch(f"SELECT remark FROM {relation}")
    await warehouse.fetch(f"SELECT remark FROM {fact.star}.{fact.as_of}(now())")
    description = (
        "SELECT col_description($1::text::regclass, attnum) FROM pg_attribute WHERE attrelid = $1::text::regclass "
    )
    said = await warehouse.fetchval(description + "AND attname = 'remark'", f"{SCHEMA}.{fact.name}")
    assert said == "What was said"
