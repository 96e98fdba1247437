"""`totesys verify --repair`: requests wrong rows from ingest until the warehouse equals the source."""

import asyncio
import operator
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import timedelta
from functools import partial
from uuid import uuid4

from tenacity import AsyncRetrying, retry_if_result, wait_fixed

from totesys.connection import connect
from totesys.schema import ETL, Model, load_model
from totesys.sql import ident, qualified
from totesys.sql_keys import key_text
from totesys.table import Capture, SourceTable, WarehouseTable
from totesys.triggers import GREATEST_NUMBER, ExtractTrigger
from totesys.verify import TableComparison, Verdict, Verification
from totesys_cli.command_errors import StageFailed
from totesys_cli.options import Databases, DataPlaneLocation
from totesys_cli.terminal import Output, period
from totesys_cli.trigger_sender import TriggerSender, trigger_sender

# A key has at most 20 characters, a message at most 256 KB.
KEYS_IN_A_MESSAGE = 5000
# The number of newest runs in which the requested runs are sought.
NEWEST_RUNS = 1000

_until_true = AsyncRetrying(retry=retry_if_result(operator.not_), wait=wait_fixed(0.5))

# An integer key as a number; any other, or one beyond what JSON can hold, as text.
Keys = Mapping[str, Sequence[int | str]]


async def repair_rows(
    output: Output,
    databases: Databases,
    location: DataPlaneLocation,
    longest: timedelta,
    verification: Verification,
    verify_again: Callable[[], Awaitable[Verification]],
) -> Verification:
    """Request the wrong rows and verify again, until all are equal or a round fixes none; the last verification.

    Raises StageFailed if ingest gives a message up or the rows do not arrive in time, and as `aws_errors` does.
    """
    model = load_model(databases.model)
    try:
        async with trigger_sender(location, "ingest") as sender, asyncio.timeout(longest.total_seconds()):
            while not verification.is_equal:
                before = verification
                triggers = repairs(await _keys(databases, model, verification), f"repair {uuid4()}")
                with output.notes.status(f"waiting for {_wrong(before):,} rows"):
                    await sender.unless_given_up(partial(_request, sender, triggers, databases.warehouse))
                verification = await verify_again()
                output.note(f"{_wrong(before) - _wrong(verification):,} of {_wrong(before):,} wrong rows are repaired.")
                if verification.tables == before.tables:
                    break
    except TimeoutError:
        raise StageFailed(
            f"The repaired rows are not in the warehouse after {period(longest)}. Check that ingest, transform and "
            f"load run, and see dead letters with `totesys dlq list --name {location.name}`."
        ) from None
    return verification


def repairs(keys: Keys, trigger: str) -> list[ExtractTrigger]:
    """The messages that request these source rows, as many as fit in each; at least one, which also runs a sweep."""
    rows: list[tuple[str, int | str | None]] = [
        (table, key) for table, numbers in keys.items() for key in (numbers or (None,))
    ]
    parts = [rows[start : start + KEYS_IN_A_MESSAGE] for start in range(0, len(rows), KEYS_IN_A_MESSAGE)] or [[]]
    return [
        ExtractTrigger(mode="repair", keys=_by_table(part), trigger=f"{trigger}, {number} of {len(parts)}")
        for number, part in enumerate(parts, 1)
    ]


def _by_table(rows: Iterable[tuple[str, int | str | None]]) -> dict[str, tuple[int | str, ...]]:
    keys: dict[str, tuple[int | str, ...]] = defaultdict(tuple)
    for table, key in rows:
        keys[table] += () if key is None else (key,)
    return dict(keys)


async def _keys(databases: Databases, model: Model, verification: Verification) -> Keys:
    """The keys of the source rows behind the wrong rows; extra rows have none."""
    keys: dict[str, list[str]] = defaultdict(list)
    for comparison in verification:
        table = model.table(comparison.table)
        wanted = [row.key for row in comparison.wrong if row.verdict is not Verdict.EXTRA]
        if table.sources and wanted:
            source = model.source(table.sources[0])
            # A full-refresh table is extracted whole.
            keys[source.name] += wanted if source.capture is Capture.INCREMENTAL else []
        elif wanted:
            for name, referring in (await _referring(databases, model, table, wanted)).items():
                keys[name] += referring
    return {name: _in_message(model.source(name), dict.fromkeys(texts)) for name, texts in keys.items()}


def _in_message(source: SourceTable, keys: Iterable[str]) -> list[int | str]:
    if not source.has_integer_key:
        return sorted(keys)
    return [key if abs(key) <= GREATEST_NUMBER else str(key) for key in sorted(map(int, keys))]


async def _referring(
    databases: Databases, model: Model, table: WarehouseTable, keys: Sequence[str]
) -> Mapping[str, Sequence[str]]:
    """Per key a fact row that refers to it, and one row of each fact: dimensions are built from fact rows."""
    rows: dict[str, list[str]] = defaultdict(list)
    async with connect("The warehouse", databases.warehouse) as connection:
        for fact in model.facts:
            relation = qualified(databases.warehouse_schema, fact.current)
            for column in (column for column in fact.columns if column.references == table.name):
                query = (
                    f"SELECT DISTINCT ON ({ident(column.name)}) {key_text(fact)} AS key FROM {relation} "
                    f"WHERE {ident(column.name)}::text = ANY ($1) "
                    f"UNION ALL (SELECT {key_text(fact)} FROM {relation} LIMIT 1)"
                )
                rows[fact.sources[0]] += [row["key"] for row in await connection.fetch(query, list(keys))]
    return rows


async def _request(sender: TriggerSender, triggers: Sequence[ExtractTrigger], warehouse: str) -> None:
    """Send the triggers, and wait until the ledger has a complete run for each."""
    for trigger in triggers:
        await sender.send(trigger)
    names = [trigger.trigger for trigger in triggers]
    newest = f"SELECT trigger, complete FROM {ETL}.run ORDER BY snapshot_time DESC, run DESC LIMIT {NEWEST_RUNS}"
    query = f"SELECT count(DISTINCT trigger) = $2 FROM ({newest}) AS r WHERE complete AND trigger = ANY ($1::text[])"
    async with connect("The warehouse", warehouse) as connection:
        await _until_true(connection.fetchval, query, names, len(names))


def _wrong(verification: Iterable[TableComparison]) -> int:
    return sum(comparison.compared - comparison.equal for comparison in verification)
