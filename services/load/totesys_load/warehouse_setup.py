"""Prepares a warehouse: uses what exists, creates what is missing, or refuses it with every problem."""

from collections.abc import Iterator, Sequence

import asyncpg

from totesys.connection import Connection, encoding_of, redacted
from totesys.database_errors import plain
from totesys.encodings import UTF8
from totesys.errors import AccessDenied, SettingsError, WarehouseMismatch
from totesys.ledger_schema import OWNER
from totesys.log_events import LogEvent
from totesys.logs import logger
from totesys.schema import ETL, Model
from totesys.sql import column_list, ident, qualified
from totesys.table import Fact
from totesys_load import compatibility, ddl
from totesys_load.compatibility import MissingIndex, WritePlan
from totesys_load.ledger_migrations import migrate
from totesys_load.warehouse_catalog import WarehouseCatalog, WarehouseColumn, read_warehouse_catalog
from totesys_load.warehouse_connection import WHAT

log = logger("totesys.load")


async def prepare(connection: Connection, model: Model, schema: str, dsn: str) -> WritePlan:
    """Create what the warehouse lacks, in the caller's transaction. Returns how to write the tables.

    Raises WarehouseMismatch with every problem, AccessDenied if the role may not create what is missing, or
    SettingsError if the schema's name is taken. A sequence that was advanced stays so after a rollback.
    """
    if schema in {ETL, *model.stars}:
        raise SettingsError(
            f"The warehouse schema cannot be {schema}: that name belongs to the ledger or a star. Choose another name."
        )
    if (encoding := encoding_of(connection)) != UTF8:
        raise WarehouseMismatch(
            f"{WHAT} at {redacted(dsn)} has the encoding {encoding}, which cannot hold every text. Nothing was "
            f"written. Use a database created with ENCODING '{UTF8}'."
        )
    catalog = await read_warehouse_catalog(connection, ddl.names(model, schema))
    _require_none(compatibility.problems(model, schema, catalog), schema, dsn)
    indexes = compatibility.missing_indexes(model, schema, catalog)
    facts = list(_version_id_columns(model, schema, catalog))
    duplicates = [problem for one in indexes if one.unique and (problem := await _duplicates(connection, schema, one))]
    lagging = [problem for fact, column in facts if (problem := await _lag(connection, schema, fact, column))]
    _require_none([*duplicates, *lagging], schema, dsn)
    _warn(model, schema, catalog, indexes)
    script = ddl.missing(model, schema, catalog) + "".join(one.statement(schema) for one in indexes if one.owned)
    try:
        await migrate(connection, recorded=(ETL, "migration") in catalog.relations)
        await _claim_ledger(connection, model, schema, dsn)
        if script:
            await connection.execute(script)
    except asyncpg.InsufficientPrivilegeError as error:
        raise AccessDenied(
            f"{WHAT} at {redacted(dsn)} does not let this role create its schemas and tables: {plain(error)}. "
            "Grant CREATE on the database, or prepare the warehouse once with a role that has it."
        ) from error
    return compatibility.write_plan(model, schema, catalog)


async def _claim_ledger(connection: Connection, model: Model, schema: str, dsn: str) -> None:
    """Make the ledger this model's, in this schema. Raises WarehouseMismatch if it belongs to another one."""
    await connection.execute(
        f"INSERT INTO {OWNER.qualified} (schema, model) SELECT $1, $2 WHERE NOT EXISTS (SELECT FROM {OWNER.qualified})",
        schema,
        model.name,
    )
    owner = await connection.fetchrow(f"SELECT schema, model FROM {OWNER.qualified}")
    assert owner is not None
    if (owner["schema"], owner["model"]) != (schema, model.name):
        raise WarehouseMismatch(
            f"{WHAT} at {redacted(dsn)} has a ledger (schema {ETL}) that belongs to the model {owner['model']} in "
            f"schema {owner['schema']}, not to {model.name} in {schema}. Nothing was written. Use another database."
        )


def _require_none(problems: Sequence[str], schema: str, dsn: str) -> None:
    if problems:
        raise WarehouseMismatch(
            f"{WHAT} at {redacted(dsn)}, schema {schema}, does not match the model: {'; '.join(problems)}. "
            "Nothing was written. Fix these problems, move the tables away, or choose another schema."
        )


def _warn(model: Model, schema: str, catalog: WarehouseCatalog, indexes: Sequence[MissingIndex]) -> None:
    for one in indexes:
        if not one.owned:
            statement = one.statement(schema).strip()
            log.warning(LogEvent.MISSING_INDEX_FOUND, table=one.table, owner="another role", statement=statement)
    for table, column in ddl.added_columns(model, schema, catalog):
        then = "existing rows have no value in it until a full extraction; earlier versions of a fact never get one"
        log.warning(LogEvent.COLUMN_ADDED, table=table.name, column=column.name, next=then)
    for fact, column_ in _version_id_columns(model, schema, catalog):
        if column_.kind != "bigint":
            then = "after 2147483647 versions, no run can be loaded until the column is bigint; nothing is lost"
            log.warning(LogEvent.NARROW_VERSION_ID_FOUND, table=fact.name, column=fact.record_id, next=then)


def _version_id_columns(model: Model, schema: str, catalog: WarehouseCatalog) -> Iterator[tuple[Fact, WarehouseColumn]]:
    for table, found in compatibility.existing_tables(model, schema, catalog):
        for column in found.columns:
            if isinstance(table, Fact) and column.name == table.record_id:
                yield table, column


async def _duplicates(connection: Connection, schema: str, one: MissingIndex) -> str | None:
    """The problem of rows that a missing unique index would have rejected."""
    counts = f"count(*) - count(DISTINCT {column_list(one.columns)})"
    rows = await connection.fetchval(f"SELECT {counts} FROM {qualified(schema, one.table)}")
    return f"{one.table} has {rows} rows whose {one.columns[0]} is a duplicate or NULL: delete them" if rows else None


async def _lag(connection: Connection, schema: str, fact: Fact, column: WarehouseColumn) -> str | None:
    """Advance a sequence that is behind the greatest version id; the problem if this role may not."""
    sequence = column.sequence
    assert sequence is not None
    target = qualified(schema, fact.name)
    last = await connection.fetchval(f"SELECT max({ident(fact.record_id)}) FROM {target}")
    if last is None or (sequence.last is not None and sequence.last >= last):
        return None
    if not sequence.settable:
        return (
            f"the sequence {sequence.name} is behind the greatest {fact.record_id} of {fact.name}, {last}: "
            f"SELECT setval('{sequence.name}', {last})"
        )
    await connection.execute("SELECT setval($1::text::regclass, $2)", sequence.name, last)
    log.warning(LogEvent.SEQUENCE_ADVANCED, table=fact.name, sequence=sequence.name, set_to=last)
    return None
