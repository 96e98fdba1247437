"""The warehouse's tables, views and ledger: accepted as they are, created where missing, or refused."""

from collections.abc import Sequence

import asyncpg

from totesys.connection import Connection, encoding_of, redacted
from totesys.database_errors import plain
from totesys.encodings import UTF8
from totesys.errors import AccessDenied, SettingsError, WarehouseMismatch
from totesys.log_events import LogEvent
from totesys.logs import logger
from totesys.schema import Model
from totesys.sql import column_list, ident, qualified
from totesys.table import Fact
from totesys_load import acceptance, ddl
from totesys_load.acceptance import Accepted, Adaptation
from totesys_load.catalog import Catalog, FoundColumn, read_catalog
from totesys_load.gained_columns import gained_columns
from totesys_load.migrations import migrate

WHAT = "The warehouse"

log = logger("totesys.load")


async def prepare(connection: Connection, model: Model, schema: str, dsn: str) -> Accepted:
    """Create what the warehouse lacks, inside the caller's transaction; how it is to be written.

    Raises WarehouseMismatch that lists every problem, AccessDenied where the role may not create, or
    SettingsError for a schema that the warehouse needs for something else. A sequence that was set forward stays so
    when the transaction is rolled back.
    """
    if schema in {ddl.ETL, *model.stars}:
        raise SettingsError(f"The warehouse schema cannot be {schema}, a star's or the ledger's. Name another.")
    if (encoding := encoding_of(connection)) != UTF8:
        raise WarehouseMismatch(
            f"{WHAT} at {redacted(dsn)} has the encoding {encoding}, which does not hold every text rightly. Nothing "
            f"was written. Name a database that was created with ENCODING '{UTF8}'."
        )
    catalog = await read_catalog(connection, ddl.names(model, schema))
    _refuse(acceptance.problems(model, schema, catalog), schema, dsn)
    adaptations = acceptance.adaptations(model, schema, catalog)
    _refuse(await _problems_of_rows(connection, model, schema, catalog, adaptations), schema, dsn)
    _warn(model, schema, catalog, adaptations)
    script = ddl.missing(model, schema, catalog) + "".join(
        ddl.create_index(schema, one.table, *one.columns, unique=one.unique) for one in adaptations if one.owned
    )
    try:
        await migrate(connection, recorded=(ddl.ETL, "migration") in catalog.relations)
        if script:
            await connection.execute(script)
    except asyncpg.InsufficientPrivilegeError as error:
        raise AccessDenied(
            f"{WHAT} at {redacted(dsn)} does not let this role create its schemas: {plain(error)}. "
            "Grant CREATE on the database, or create the warehouse with a role that may."
        ) from error
    return acceptance.accepted(model, schema, catalog)


def _refuse(problems: Sequence[str], schema: str, dsn: str) -> None:
    if problems:
        raise WarehouseMismatch(
            f"{WHAT} at {redacted(dsn)}, schema {schema}, is not what the model declares: {'; '.join(problems)}. "
            "Nothing was written. Mend this, move these tables away, or name another schema."
        )


def _warn(model: Model, schema: str, catalog: Catalog, adaptations: Sequence[Adaptation]) -> None:
    for one in adaptations:
        if not one.owned:
            statement = ddl.create_index(schema, one.table, *one.columns, unique=one.unique).strip()
            log.warning(LogEvent.MISSING_INDEX_FOUND, table=one.table, owner="another role", statement=statement)
    for table, column in gained_columns(model, schema, catalog):
        then = "what is there has no value in it until a full extraction; earlier versions of a fact keep none"
        log.warning(LogEvent.COLUMN_ADDED, table=table.name, column=column.name, next=then)
    for fact, _, record_id in _numbered(model, schema, catalog):
        if record_id.kind != "bigint":
            then = "at 2147483647 versions no run can be loaded until the column is bigint; nothing is lost"
            log.warning(LogEvent.NARROW_VERSION_ID_FOUND, table=fact.name, column=fact.record_id, next=then)


def _numbered(model: Model, schema: str, catalog: Catalog) -> list[tuple[Fact, str, FoundColumn]]:
    return [
        (table, qualified(schema, table.name), column)
        for table, found in acceptance.tables(model, schema, catalog)
        for column in found.columns
        if isinstance(table, Fact) and column.name == table.record_id
    ]


async def _problems_of_rows(
    connection: Connection, model: Model, schema: str, catalog: Catalog, adaptations: Sequence[Adaptation]
) -> list[str]:
    """What only the rows can tell: keys that are there twice, sequences that lag behind."""
    found = []
    for one in adaptations:
        if one.unique and (twice := await _not_unique(connection, schema, one)):
            found.append(
                f"{one.table} has {twice} rows too many with the same {one.columns[0]}, or without one: delete them"
            )
    for fact, target, column in _numbered(model, schema, catalog):
        sequence = column.sequence
        assert sequence is not None
        last = await connection.fetchval(f"SELECT max({ident(fact.record_id)}) FROM {target}")
        if last is None or (sequence.last is not None and sequence.last >= last):
            continue
        if sequence.settable:
            await connection.execute("SELECT setval($1::text::regclass, $2)", sequence.name, last)
            log.warning(LogEvent.SEQUENCE_ADVANCED, table=fact.name, sequence=sequence.name, set_to=last)
        else:
            found.append(
                f"the sequence {sequence.name} stands behind the greatest {fact.record_id} of {fact.name}, {last}: "
                f"SELECT setval('{sequence.name}', {last})"
            )
    return found


async def _not_unique(connection: Connection, schema: str, one: Adaptation) -> int:
    columns = column_list(one.columns)
    query = f"SELECT count(*) - count(DISTINCT {columns}) FROM {qualified(schema, one.table)}"
    return int(await connection.fetchval(query))
