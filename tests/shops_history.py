"""The shops' source as it changes, and what must have come of it: steps that a seed decides."""

from collections.abc import Container
from dataclasses import dataclass
from random import Random

import pytest

from tests.expectation import NOTHING_LOST, Expectation, Found
from tests.models.shops import MODEL
from tests.pipeline import Pipeline
from tests.sources import execute, value
from totesys.connection import connect
from totesys.errors import SchemaDrift
from totesys.triggers import RECONCILE, ExtractTrigger, RunsTrigger
from totesys.verify import verify
from totesys_cli.source_database import create_source, publication_statement
from totesys_load.load_stage import Load

KEYS = 8
# Each breaks the contract, and how it is mended.
DRIFTS = [
    ("ALTER TABLE sale RENAME note TO remark", "ALTER TABLE sale RENAME remark TO note"),
    ("ALTER TABLE refund RENAME TO refunds", "ALTER TABLE refunds RENAME TO refund"),
    (
        "ALTER TABLE ticket ALTER label TYPE integer USING length(label)",
        "ALTER TABLE ticket ALTER label TYPE text USING label::text",
    ),
]
SETUP = (
    "ALTER TABLE sale ALTER amount DROP NOT NULL",
    "ALTER TABLE sale DROP CONSTRAINT sale_shop_id_fkey, DROP CONSTRAINT sale_ticket_id_fkey",
    "ALTER TABLE refund DROP CONSTRAINT refund_ticket_id_fkey",
    "INSERT INTO region VALUES (1, 'North', now()), (2, 'South', now())",
    "INSERT INTO shop SELECT n, 'shop', 1 + n % 2, now() FROM generate_series(1, 4) AS n",
    "INSERT INTO ticket SELECT n, 'paper', now() FROM generate_series(1, 4) AS n",
)


LSN = "SELECT (pg_current_wal_insert_lsn() - '0/0')::bigint"
CONFIRMED = "SELECT (confirmed_flush_lsn - '0/0')::bigint FROM pg_replication_slots"


@dataclass(frozen=True)
class Loss:
    """Rows that a statement took away: those of a key, or of all keys, after this position of the log."""

    table: str
    keys: Container[int]
    lsn: int


async def make_open_shops(dsn: str) -> str:
    """A few shops and tickets, in a source that takes what it should not, in the empty database `dsn`; the same DSN."""
    async with connect("The source", dsn) as connection:
        await create_source(connection, MODEL)
        await connection.execute(publication_statement(MODEL, "public", "totesys"))
    await execute(dsn, *SETUP)
    return dsn


class History:
    """Steps that a seed decides, and what must have come of them."""

    def __init__(self, random: Random, pipeline: Pipeline) -> None:
        self.random = random
        self.pipeline = pipeline
        self.expected = Expectation(MODEL)
        self.losses: list[Loss] = []
        pipeline.use(capture_slot=pipeline.source_dsn.rpartition("/")[2])

    async def step(self) -> None:
        """Some changes of the source, and then whatever comes next."""
        await self.change_some()
        steps = {
            self.tick: 8,
            self.sweep: 5,
            self.full: 2,
            self.repair: 2,
            self.drift: 2,
            self.replay: 4,
            self.meddle: 2,
        }
        step = self.random.choices(list(steps), list(steps.values()))[0]
        print(step.__name__)
        await step()
        await Found(self.pipeline.warehouse_dsn, MODEL).check(self.expected)

    async def change_some(self) -> None:
        async with connect("The source", self.pipeline.source_dsn) as connection:
            for _ in range(self.random.randint(0, 6)):
                lsn = await connection.fetchval(LSN)
                statement, table, keys = self.change()
                if not (await connection.execute(statement)).endswith(" 0"):
                    self.losses.append(Loss(table, keys, lsn))

    def change(self) -> tuple[str, str, Container[int]]:
        """A row is made, made again, changed, touched or deleted; some are bad, some refer to what is not there.

        With the table, and the keys that may be gone.
        """
        key, one, other = (self.random.randint(1, KEYS) for _ in range(3))
        amount = self.random.choice(["NULL", "1", "2"])
        made = {
            "sale": f"({key}, {one}, {other}, {amount}, NULL, date '2026-01-01')",
            "refund": f"({key}, {one}, {self.random.choice(['NULL', '1', '2'])}, now())",
            "ticket": f"({key}, '{self.random.choice('ab')}', date '2026-01-01')",
            "shop": f"({key}, '{self.random.choice('ab')}', 1, now())",
        }
        table = self.random.choices(list(made), [8, 4, 3, 2])[0]
        free = f"NOT EXISTS (SELECT FROM sale WHERE sale_id = {other})"
        kinds: list[tuple[int, str, str, Container[int]]] = [
            (10, f"INSERT INTO {table} VALUES {made[table]} ON CONFLICT DO NOTHING", table, ()),
            (4, f"DELETE FROM {table} WHERE {table}_id = {key}", table, (key,)),
            (2, f"UPDATE {table} SET last_updated = last_updated WHERE {table}_id = {key}", table, ()),
            (6, f"UPDATE sale SET amount = {amount}, shop_id = {one} WHERE sale_id = {key}", "sale", ()),
            (1, f"UPDATE sale SET sale_id = {other} WHERE sale_id = {key} AND {free}", "sale", (key,)),
            (1, "TRUNCATE refund", "refund", range(KEYS + 1)),
        ]
        _, statement, of, gone = self.random.choices(kinds, [kind[0] for kind in kinds])[0]
        return statement, of, gone

    async def extract(self, wakeup: ExtractTrigger) -> None:
        self.pipeline.use(capture=self.random.choice(["scan", "log", "log", "log", "log", "log"]))
        sight, slot = await self.expected.look(self.pipeline.source_dsn), self.pipeline.ingest.settings.capture_slot
        kept_from = await value(self.pipeline.source_dsn, f"{CONFIRMED} WHERE slot_name = '{slot}'")
        await self.pipeline.ingest.work(wakeup)
        newest = await self.pipeline.lake.newest_manifest()
        assert newest is not None
        # A sweep of a single table follows from what the log says.
        swept = bool(newest.keys) and wakeup.mode != "changes"
        lost = await self.lost(kept_from) if newest.capture == "log" else NOTHING_LOST
        self.expected.take(sight, newest.run, swept=swept or newest.xmin_before is None, lost=lost)
        await self.pipeline.catch_up()

    async def lost(self, lsn: int) -> dict[str, set[int]]:
        """The keys that were lost after a position of the log, and are not in the source."""
        async with connect("The source", self.pipeline.source_dsn) as connection:
            found: dict[str, set[int]] = {}
            for table in {loss.table for loss in self.losses if loss.lsn >= lsn}:
                there = {row[0] for row in await connection.fetch(f"SELECT {table}_id FROM {table}")}
                gone = {key for key in range(KEYS + 1) if key not in there}
                known = [loss for loss in self.losses if loss.table == table and loss.lsn >= lsn]
                found[table] = {key for key in gone if any(key in loss.keys for loss in known)}
        return found

    async def meddle(self) -> None:
        """Somebody else changes what capture from the log relies on."""
        slot = f"FROM pg_replication_slots WHERE slot_name = '{self.pipeline.ingest.settings.capture_slot}'"
        meddling = [
            f"SELECT pg_drop_replication_slot(slot_name) {slot}",
            f"SELECT pg_replication_slot_advance(slot_name, pg_current_wal_insert_lsn()) {slot}",
            "ALTER PUBLICATION totesys DROP TABLE ticket; ALTER PUBLICATION totesys ADD TABLE ticket",
            "VACUUM FULL sale",
        ]
        await self.change_some()
        await execute(self.pipeline.source_dsn, self.random.choice(meddling))
        await self.change_some()

    async def tick(self) -> None:
        await self.extract(ExtractTrigger())

    async def sweep(self) -> None:
        await self.extract(ExtractTrigger(mode="sweep"))

    async def full(self) -> None:
        await self.extract(ExtractTrigger(mode="full"))

    async def repair(self) -> None:
        keys = tuple(self.random.sample(range(1, KEYS + 1), 3))
        await self.extract(ExtractTrigger(mode="repair", keys={"sale": keys, "ticket": keys, "shop": ()}))

    async def drift(self) -> None:
        """The source is not as declared: nothing moves, and what changed meanwhile comes once it is mended."""
        broken, mended = self.random.choice(DRIFTS)
        await execute(self.pipeline.source_dsn, broken)
        before = await self.pipeline.lake.newest_manifest()
        with pytest.raises(SchemaDrift):
            await self.pipeline.ingest.work(ExtractTrigger())
        assert await self.pipeline.lake.newest_manifest() == before
        await execute(self.pipeline.source_dsn, mended)

    async def replay(self) -> None:
        """Runs are done again, by load alone or by transform too."""
        runs = [row[0] for row in await self.pipeline.rows("SELECT run FROM etl.run")]
        first, last = sorted(self.random.choices(runs, k=2))
        again = RunsTrigger(from_run=first, to_run=last)
        if self.random.random() < 0.5:
            await self.pipeline.transform.work(again)
        await self.pipeline.load.work(again)

    async def settle(self) -> None:
        """After a last sweep the verification agrees, and a warehouse made of the lake alone is the same."""
        await self.sweep()
        result = await verify(self.pipeline.source_dsn, self.pipeline.warehouse_dsn, MODEL)
        assert result.is_equal, [table for table in result.tables if not table.is_equal]

    async def rebuild(self, warehouse_dsn: str) -> None:
        settings = self.pipeline.load.settings.model_copy(
            update={"warehouse_dsn": type(self.pipeline.load.settings.warehouse_dsn)(warehouse_dsn)}
        )
        await Load(settings, self.pipeline.lake, MODEL).work(RECONCILE)
        await Found(warehouse_dsn, MODEL).check(self.expected)
