"""The generated statements are SQL of their engine, and read base tables only where these may be used."""

from collections.abc import Iterator
from datetime import datetime

import duckdb
import pytest
import sqlglot
from sqlglot import expressions

from tests.models.shops import MODEL as SHOPS
from totesys.model import MODEL
from totesys.schema import Model
from totesys.table import Fact
from totesys_lakehouse.lakehouse_tables import LakehouseTable, lakehouse_tables
from totesys_lakehouse.lakehouse_views import base_script, view_script
from totesys_lakehouse.view_dialects import DIALECTS, DUCKDB
from totesys_lakehouse.view_queries import Cut, Queries

NOW = datetime(2026, 11, 30, 12)  # noqa: DTZ001 - as the tables hold timestamps
CUTS = {"current": None, "a run": Cut(run=42), "a time": Cut(moment=NOW)}
SALE = next(table for table in lakehouse_tables(SHOPS) if table.name == "fact_sale")


def facts(model: Model) -> list[LakehouseTable]:
    return [table for table in lakehouse_tables(model) if isinstance(table.declared, Fact)]


@pytest.mark.parametrize("cut", CUTS)
@pytest.mark.parametrize("dialect", DIALECTS)
def test_every_statement_is_sql_of_its_engine(dialect: str, cut: str) -> None:
    bases = frozenset(table.name for table in facts(MODEL))
    queries = Queries(MODEL, DIALECTS[dialect], "lakehouse", bases=bases)
    script = view_script(queries, CUTS[cut]) + "".join(base_script(queries, table) for table in facts(MODEL))
    statements = [one for one in sqlglot.parse(script, dialect=dialect) if one is not None]
    views = [one for one in statements if isinstance(one, expressions.Create) and one.kind == "VIEW"]
    assert not any(isinstance(one, expressions.Command) for one in statements)
    per_table = 1 if CUTS[cut] else 2
    stars = sum(len(tables) for tables in MODEL.stars.values())
    assert len(views) == per_table * (len(MODEL.tables) + stars)


@pytest.fixture
def database() -> Iterator[duckdb.DuckDBPyConnection]:
    """Tables of two runs: sale 1 in both, sale 2 in the second; and a base table that also has sale 9."""
    with duckdb.connect() as database:
        database.execute("CREATE SCHEMA lakehouse")
        types = {
            "int32": "INTEGER",
            "int64": "BIGINT",
            "text": "VARCHAR",
            "timestamp": "TIMESTAMP",
            "boolean": "BOOLEAN",
        }
        for table in lakehouse_tables(SHOPS):
            columns = ", ".join(f'"{column.name}" {types[column.type.kind]}' for column in table.columns)
            database.execute(f'CREATE TABLE lakehouse."{table.name}" ({columns})')
        for run in (1, 2):
            database.execute(
                "INSERT INTO lakehouse.run BY NAME SELECT ? AS run, TIMESTAMP '2026-01-01' AS committed_at", [run]
            )
        database.execute("INSERT INTO lakehouse.dim_shop BY NAME SELECT 1 AS shop_id, 1 AS run")
        database.execute("INSERT INTO lakehouse.dim_ticket BY NAME SELECT 1 AS ticket_id, 1 AS run")
        sale = "INSERT INTO lakehouse.fact_sale BY NAME SELECT ? AS sale_id, ? AS run, 1 AS shop_id, 1 AS ticket_id"
        for key, run in ((1, 1), (1, 2), (2, 2)):
            database.execute(sale, [key, run])
        yield database


def shown(database: duckdb.DuckDBPyConnection, queries: Queries) -> list[int]:
    return sorted(row[0] for row in database.sql(queries.current(SALE)).fetchall())


def queries(margin: int = 0) -> Queries:
    return Queries(SHOPS, DUCKDB, "lakehouse", margin, frozenset([SALE.name]))


def build(database: duckdb.DuckDBPyConnection, run: int, built_at: str = "2026-06-01") -> None:
    """A base table as of a run, with one row that the fact table does not have."""
    database.execute(base_script(Queries(SHOPS, DUCKDB, "lakehouse", 0), SALE))
    database.execute(
        f"INSERT INTO lakehouse.fact_sale_base BY NAME SELECT 9 AS sale_id, 1 AS run;"
        f"UPDATE lakehouse.fact_sale_base SET base_run = {run}, built_at = TIMESTAMP '{built_at}'"
    )


def test_a_base_table_takes_the_place_of_the_rows_up_to_its_run(database: duckdb.DuckDBPyConnection) -> None:
    build(database, run=2)
    database.execute("DELETE FROM lakehouse.fact_sale")
    database.execute(
        "INSERT INTO lakehouse.run BY NAME SELECT 3 AS run, TIMESTAMP '2026-01-01' AS committed_at;"
        "INSERT INTO lakehouse.fact_sale BY NAME SELECT 4 AS sale_id, 3 AS run, 1 AS shop_id, 1 AS ticket_id"
    )
    assert shown(database, queries()) == [1, 2, 4, 9]


def test_a_base_table_newer_than_the_runs_that_are_read_is_left_alone(database: duckdb.DuckDBPyConnection) -> None:
    build(database, run=3)
    assert shown(database, queries()) == [1, 2]


def test_a_base_table_older_than_a_replay_is_left_alone(database: duckdb.DuckDBPyConnection) -> None:
    build(database, run=2)
    database.execute("UPDATE lakehouse.run SET replayed_at = TIMESTAMP '2026-06-02' WHERE run = 1")
    assert shown(database, queries()) == [1, 2]


def test_a_version_waits_for_the_dimension_row_that_it_refers_to(database: duckdb.DuckDBPyConnection) -> None:
    late = "INSERT INTO lakehouse.fact_sale BY NAME SELECT {key} AS sale_id, 2 AS run, 7 AS shop_id, 1 AS ticket_id"
    database.execute(late.format(key=5))
    plain = Queries(SHOPS, DUCKDB, "lakehouse", 0)
    assert shown(database, plain) == [1, 2]
    build(database, run=2)
    database.execute("INSERT INTO lakehouse.dim_shop BY NAME SELECT 7 AS shop_id, 2 AS run")
    assert shown(database, plain) == [1, 2, 5]
    assert shown(database, queries()) == [1, 2, 5, 9]


def test_a_deleted_key_is_left_out_until_a_later_run_brings_it_again(database: duckdb.DuckDBPyConnection) -> None:
    plain = Queries(SHOPS, DUCKDB, "lakehouse", 0)
    database.execute("INSERT INTO lakehouse.deletion BY NAME SELECT 'fact_sale' AS table_name, 2 AS id, 2 AS run")
    assert shown(database, plain) == [1]
    database.execute("UPDATE lakehouse.deletion SET run = 1")
    assert shown(database, plain) == [1, 2]


def test_a_run_is_read_once_it_has_been_committed_for_the_margin(database: duckdb.DuckDBPyConnection) -> None:
    database.execute("UPDATE lakehouse.run SET committed_at = make_timestamp(epoch_us(now())) WHERE run = 2")
    assert shown(database, Queries(SHOPS, DUCKDB, "lakehouse", margin_seconds=3600)) == [1]
    assert shown(database, Queries(SHOPS, DUCKDB, "lakehouse", margin_seconds=0)) == [1, 2]
