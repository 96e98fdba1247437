"""`totesys verify --repair`: asks ingest for the rows that are wrong, until the warehouse equals the source."""

import asyncio
import operator
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from datetime import timedelta
from uuid import uuid4

from rich.console import Console
from tenacity import AsyncRetrying, retry_if_result, wait_fixed

from totesys.connection import connect
from totesys.schema import ETL, Model, load_model
from totesys.sql import ident, qualified
from totesys.table import Capture, WarehouseTable
from totesys.triggers import ExtractTrigger
from totesys.verify import TableComparison, Verdict, Verification
from totesys_cli.aws import aws_errors
from totesys_cli.databases import Databases
from totesys_cli.dead_letters.queues import sqs_client
from totesys_cli.errors import StageFailed
from totesys_cli.place import Place
from totesys_cli.verify.command import verified

# A key has at most 20 characters, a message at most 256 KB.
KEYS_IN_A_MESSAGE = 5000
# Among so many the runs that were asked for are looked for, again and again.
NEWEST_RUNS = 1000

_until_true = AsyncRetrying(retry=retry_if_result(operator.not_), wait=wait_fixed(0.5))

Keys = Mapping[str, Sequence[int]]


async def repair(
    console: Console, databases: Databases, place: Place, verification: Verification, longest: timedelta
) -> Verification:
    """Ask for the wrong rows and verify again, until all is equal or a round mends nothing; the last verification.

    Raises StageFailed if no run answers in time, and what `aws_errors` says.
    """
    model = load_model(databases.model)
    try:
        async with asyncio.timeout(longest.total_seconds()):
            while not verification.is_equal:
                before = verification
                wakeups = repairs(await _keys(databases, model, verification), f"repair {uuid4()}")
                await asyncio.to_thread(_send, place, wakeups)
                with console.status(f"{_wrong(before):,} rows are asked for again"):
                    await _until_loaded(databases.warehouse, [wakeup.trigger for wakeup in wakeups])
                verification = await verified(databases)
                console.print(
                    f"{_wrong(before) - _wrong(verification):,} of {_wrong(before):,} wrong rows are repaired."
                )
                if verification.tables == before.tables:
                    break
    except TimeoutError:
        raise StageFailed(
            f"The repair is not in the warehouse after {longest}. "
            f"Look whether ingest, transform and load run and take messages: `totesys dlq list --name {place.name}`."
        ) from None
    return verification


def repairs(keys: Keys, trigger: str) -> list[ExtractTrigger]:
    """The messages that ask for these source rows, few enough in each; at least one, for the sweep that it brings."""
    rows: list[tuple[str, int | None]] = [
        (table, key) for table, numbers in keys.items() for key in (numbers or (None,))
    ]
    parts = [rows[start : start + KEYS_IN_A_MESSAGE] for start in range(0, len(rows), KEYS_IN_A_MESSAGE)] or [[]]
    return [
        ExtractTrigger(mode="repair", keys=_by_table(part), trigger=f"{trigger}, {number} of {len(parts)}")
        for number, part in enumerate(parts, 1)
    ]


def _by_table(rows: Iterable[tuple[str, int | None]]) -> dict[str, tuple[int, ...]]:
    keys: dict[str, tuple[int, ...]] = defaultdict(tuple)
    for table, key in rows:
        keys[table] += () if key is None else (key,)
    return dict(keys)


async def _keys(databases: Databases, model: Model, verification: Verification) -> Keys:
    """The keys of the source rows that make the wrong rows; of what is too much there is none."""
    keys: dict[str, list[int]] = defaultdict(list)
    for comparison in verification:
        table = model.table(comparison.table)
        wanted = [row.key for row in comparison.wrong if row.verdict is not Verdict.EXTRA]
        if table.sources and wanted:
            source = model.source(table.sources[0])
            # A table captured as a snapshot comes whole.
            keys[source.name] += map(int, wanted) if source.capture is Capture.INCREMENTAL else []
        elif wanted:
            for name, referring in (await _referring(databases, model, table, wanted)).items():
                keys[name] += referring
    return {name: sorted(set(numbers)) for name, numbers in keys.items()}


async def _referring(databases: Databases, model: Model, table: WarehouseTable, keys: Sequence[str]) -> Keys:
    """For each key a row that refers to it, and for all one row of any fact: what they refer to is built with them."""
    rows: dict[str, list[int]] = defaultdict(list)
    async with connect("The warehouse", databases.warehouse) as connection:
        for fact in model.facts:
            relation = qualified(databases.warehouse_schema, fact.current)
            for column in (column for column in fact.columns if column.references == table.name):
                query = (
                    f"SELECT DISTINCT ON ({ident(column.name)}) {ident(fact.key)} AS key FROM {relation} "
                    f"WHERE {ident(column.name)}::text = ANY ($1) "
                    f"UNION ALL (SELECT {ident(fact.key)} FROM {relation} LIMIT 1)"
                )
                rows[fact.sources[0]] += [row["key"] for row in await connection.fetch(query, list(keys))]
    return rows


def _send(place: Place, wakeups: Iterable[ExtractTrigger]) -> None:
    name = f"{place.name}-ingest"
    with closing(sqs_client(place)) as client, aws_errors(name):
        url = client.get_queue_url(QueueName=name)["QueueUrl"]
        for wakeup in wakeups:
            client.send_message(QueueUrl=url, MessageBody=wakeup.model_dump_json())


async def _until_loaded(warehouse: str, triggers: Sequence[str]) -> None:
    """Wait until the ledger has a complete run of each trigger."""
    newest = f"SELECT trigger, complete FROM {ETL}.run ORDER BY snapshot_time DESC, run DESC LIMIT {NEWEST_RUNS}"
    query = f"SELECT count(DISTINCT trigger) = $2 FROM ({newest}) AS r WHERE complete AND trigger = ANY ($1::text[])"
    async with connect("The warehouse", warehouse) as connection:
        await _until_true(connection.fetchval, query, triggers, len(triggers))


def _wrong(verification: Iterable[TableComparison]) -> int:
    return sum(comparison.compared - comparison.equal for comparison in verification)
