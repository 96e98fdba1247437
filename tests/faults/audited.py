"""The company with one more fact: a log that its database keeps of every version of a row, in the same transaction.

The log is only ever appended to, and travels to the warehouse like any other fact. So what has arrived of it says
exactly which versions a run's snapshot could see, and which versions the other facts must have, once each.
"""

from dataclasses import dataclass

import polars as pl

from totesys.connection import Connection
from totesys.model import MODEL as COMPANY
from totesys.schema import Model
from totesys.sql import ident, literal
from totesys.table import Capture, Column, Fact, SourceTable
from totesys.types import BIGINT, TEXT
from totesys_cli.source_database import create_source, publication_statement
from totesys_simulation import fill

AUDIT = SourceTable(
    "audit",
    key="audit_id",
    capture=Capture.INCREMENTAL,
    columns=(
        Column("audit_id", BIGINT),
        Column("transaction_id", BIGINT),
        Column("table_name", TEXT),
        # The whole row as JSON: what the other facts are compared with.
        Column("image", TEXT),
    ),
)


def build_fact_audit(audit: pl.LazyFrame) -> pl.LazyFrame:
    return audit


FACT_AUDIT = Fact(
    "fact_audit",
    star="audits",
    record_id="audit_record_id",
    key="audit_id",
    columns=(Column("audit_id", BIGINT), Column("transaction_id", BIGINT)),
    sources=(AUDIT.name,),
    build=build_fact_audit,
    reference_query="SELECT audit_id, transaction_id FROM audit",
)
MODEL = Model("audited", sources=(*COMPANY.sources, AUDIT), tables=(*COMPANY.tables, FACT_AUDIT))

# Not a table's name: a change that is made only to see when it arrives.
PROBE = "probe"

_KEEP = """
CREATE FUNCTION keep_audit() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO audit (transaction_id, table_name, image)
    VALUES (pg_current_xact_id()::text::bigint, TG_TABLE_NAME, to_jsonb(NEW)::text);
    RETURN NULL;
END $$
"""


@dataclass(frozen=True)
class Version:
    """A version of a row, as its fact should show it if that is possible; `audit_id` tells their order."""

    audit_id: int
    possible: bool
    values: tuple[object, ...]


async def make_audited_company(connection: Connection, *, seed: int, scale: float) -> None:
    """The company's generated past, every row of it audited, in an empty database."""
    await create_source(connection, MODEL)
    await connection.execute(_KEEP)
    for fact in COMPANY.facts:
        table = ident(fact.sources[0])
        await connection.execute(
            f"CREATE TRIGGER keep_audit AFTER INSERT OR UPDATE ON {table} FOR EACH ROW EXECUTE FUNCTION keep_audit()"
        )
    await connection.execute("CREATE INDEX ON audit (transaction_id)")
    await connection.execute(publication_statement(MODEL, "public", "totesys"))
    await fill(connection, seed=seed, scale=scale)


async def leave_probe(connection: Connection) -> int:
    """A change of the log alone; its id."""
    return int(
        await connection.fetchval(
            "INSERT INTO audit (transaction_id, table_name, image) "
            f"VALUES (pg_current_xact_id()::text::bigint, {literal(PROBE)}, '') RETURNING audit_id"
        )
    )


async def versions(connection: Connection, fact: Fact) -> list[Version]:
    """Every committed version of a fact's rows, in the log's order."""
    table = fact.sources[0]
    required = " AND ".join(f"o.{ident(column.name)} IS NOT NULL" for column in fact.columns if not column.nullable)
    columns = ", ".join(f"o.{ident(column.name)}::{column.type.postgres}" for column in fact.columns)
    rows = await connection.fetch(
        # The reference query reads the table by its name: here that is one row out of the log.
        f"SELECT a.audit_id, {required}, {columns} FROM audit AS a CROSS JOIN LATERAL (WITH {ident(table)} AS (SELECT "
        f"(jsonb_populate_record(NULL::public.{ident(table)}, a.image::jsonb)).*) "
        f"SELECT * FROM ({fact.reference_query}) AS x) AS o WHERE a.table_name = {literal(table)} ORDER BY a.audit_id"
    )
    return [Version(row[0], row[1], tuple(row)[2:]) for row in rows]
