"""Capture from the source's log: each change arrives in the next run, and a scan takes the place of an unusable log."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta

import pytest
from structlog.testing import capture_logs

from tests.models.shops import MODEL
from tests.pipeline import Pipeline
from tests.servers import Server, own_server
from tests.sources import execute, rows, value
from totesys.connection import connect
from totesys.errors import SchemaDrift
from totesys.lake.records import Manifest
from totesys.log_events import LogEvent
from totesys.triggers import ExtractTrigger
from totesys.verify import verify
from totesys_cli.local.local_data_plane import LocalDataPlane
from totesys_cli.source_database import create_source, publication_statement
from totesys_ingest.ingest_settings import MIB

pytestmark = pytest.mark.postgres

FILL = (
    "INSERT INTO region VALUES (1, 'North', now())",
    "INSERT INTO shop SELECT n, 'shop', 1, now() FROM generate_series(1, 4) AS n",
    "INSERT INTO ticket SELECT n, 'paper', now() FROM generate_series(1, 1000) AS n",
    "INSERT INTO sale SELECT n, 1 + n % 4, 1, n, repeat('x', 20), now() FROM generate_series(1, 1000) AS n",
    "INSERT INTO refund SELECT n, 1, n, now() FROM generate_series(1, 10) AS n",
)
SLOT = "shops_slot"
# Each is a transaction of its own, or several in one string.
CHANGES = {
    "update": "UPDATE sale SET amount = 0 WHERE sale_id <= 5",
    "reference row": "UPDATE shop SET shop_name = 'moved' WHERE shop_id = 1",
    "deleted reference row": "INSERT INTO shop VALUES (9, 'new', 1, now()); DELETE FROM shop WHERE shop_id = 9",
    "delete": "DELETE FROM sale WHERE sale_id IN (7, 8, 9, 500)",
    "delete and re-insert": "BEGIN; DELETE FROM sale WHERE sale_id = 10;"
    "INSERT INTO sale VALUES (10, 1, 1, 77, 'again', now()); COMMIT",
    "key update": "UPDATE sale SET sale_id = 5000 WHERE sale_id = 11",
    "key swap": "BEGIN; UPDATE sale SET sale_id = -1 WHERE sale_id = 12;"
    "UPDATE sale SET sale_id = 12 WHERE sale_id = 13; UPDATE sale SET sale_id = 13 WHERE sale_id = -1; COMMIT",
    "insert and delete": "BEGIN; INSERT INTO sale VALUES (6000, 1, 1, 1, '', now());"
    "DELETE FROM sale WHERE sale_id = 6000; COMMIT",
    "truncate": "TRUNCATE refund",
    "truncate and insert": "BEGIN; INSERT INTO refund VALUES (1, 1, 1, now()); TRUNCATE refund;"
    "INSERT INTO refund VALUES (2, 1, 5, now()); COMMIT",
    "rolled back": "BEGIN; UPDATE sale SET amount = 99 WHERE sale_id = 20; ROLLBACK",
    "subtransactions": "BEGIN; SAVEPOINT a; UPDATE sale SET amount = 1 WHERE sale_id = 21; SAVEPOINT b;"
    "UPDATE sale SET amount = 2 WHERE sale_id = 22; ROLLBACK TO b;"
    "UPDATE sale SET amount = 3 WHERE sale_id = 23; COMMIT",
    "unchanged TOAST value": "ALTER TABLE sale ALTER note SET STORAGE EXTERNAL;"
    "UPDATE sale SET note = repeat('long', 10000) WHERE sale_id = 24; UPDATE sale SET amount = 24 WHERE sale_id = 24",
    "replica role": "SET session_replication_role = replica; UPDATE sale SET amount = 25 WHERE sale_id = 25",
    "trigger": "CREATE FUNCTION bump() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
    " UPDATE sale SET amount = amount + 1 WHERE sale_id = 26; RETURN NULL; END $$;"
    "CREATE TRIGGER bump AFTER INSERT ON refund EXECUTE FUNCTION bump(); INSERT INTO refund VALUES (3, 1, 1, now())",
    "many small transactions": "DO $$ BEGIN FOR i IN 1..2000 LOOP"
    " UPDATE sale SET amount = i WHERE sale_id = 30 + i % 400; COMMIT; END LOOP; END $$",
    "altered in between": "UPDATE sale SET amount = 4 WHERE sale_id = 40; ALTER TABLE sale ADD extra integer;"
    "UPDATE sale SET amount = 5 WHERE sale_id = 41; ALTER TABLE sale DROP extra; DELETE FROM sale WHERE sale_id = 42",
    "rewritten": "ALTER TABLE refund ALTER amount TYPE integer USING amount + 1",
    "moved": "UPDATE sale SET amount = 6 WHERE sale_id = 43; VACUUM FULL sale",
    "asynchronous commit": "SET synchronous_commit = off; UPDATE sale SET amount = 7 WHERE sale_id = 44",
    "full replica identity": "DELETE FROM ticket WHERE ticket_id = 900; ALTER TABLE ticket REPLICA IDENTITY FULL;"
    "DELETE FROM ticket WHERE ticket_id = 901",
}
TOUCH = "UPDATE sale SET amount = 8 WHERE sale_id = 45"
PUBLISH = publication_statement(MODEL, "public", "totesys")
# What makes the log unusable, how that is put right, by words of the reason that is logged.
FAILURES = {
    "another client advanced": (f"SELECT pg_replication_slot_advance('{SLOT}', pg_current_wal_insert_lsn())", ""),
    "does not exist": (f"SELECT pg_drop_replication_slot('{SLOT}')", ""),
    "publication changed": (
        f"ALTER PUBLICATION totesys DROP TABLE sale; {TOUCH}; ALTER PUBLICATION totesys ADD TABLE sale",
        "",
    ),
    "lacks sale": ("ALTER PUBLICATION totesys DROP TABLE sale", "ALTER PUBLICATION totesys ADD TABLE sale"),
    "replica identity of sale": (
        "ALTER TABLE sale REPLICA IDENTITY NOTHING",
        "ALTER TABLE sale REPLICA IDENTITY DEFAULT",
    ),
    "insert, update, delete and truncate": (
        "ALTER PUBLICATION totesys SET (publish = 'insert, update')",
        "ALTER PUBLICATION totesys SET (publish = 'insert, update, delete, truncate')",
    ),
    "publication totesys does not exist": ("DROP PUBLICATION totesys", PUBLISH),
}


@dataclass
class Shops:
    """Shops on a server of their own, and what their pipeline does."""

    server: Server
    pipeline: Pipeline

    async def change(self, statements: str) -> None:
        await execute(self.pipeline.source_dsn, *_split(statements))

    async def tick(self) -> Manifest:
        """A tick, after which the warehouse has what the source has, deletions too; its manifest."""
        await self.pipeline.tick()
        newest = await self.pipeline.lake.newest_manifest()
        assert newest is not None
        return newest

    async def until_log(self) -> None:
        """Ticks until the log is read again: transactions of the server itself may be open when the slot is made."""
        async with asyncio.timeout(60):
            while (await self.tick()).capture != "log":
                pass

    async def equal(self) -> None:
        result = await verify(self.pipeline.source_dsn, self.pipeline.warehouse_dsn, MODEL)
        assert result.is_equal, [table for table in result.tables if not table.is_equal]

    async def deleted(self) -> None:
        """No row is current in the warehouse that the source does not have."""
        for fact in MODEL.facts:
            current = await self.pipeline.rows(f"SELECT {fact.key} FROM warehouse.{fact.current}")
            there = await rows(self.pipeline.source_dsn, f"SELECT {fact.key} FROM {fact.sources[0]}")
            assert {row[0] for row in current} == {row[0] for row in there}, fact.name


def _split(statements: str) -> list[str]:
    """Each statement by itself, except those of one transaction and of a function, which go together."""
    if statements.startswith(("BEGIN", "CREATE FUNCTION", "DO", "SET")):
        return [statements]
    return [one for one in statements.split(";") if one.strip()]


@asynccontextmanager
async def shops(database: Callable[[], str], data_plane: LocalDataPlane) -> AsyncIterator[Shops]:
    async with own_server(max_prepared_transactions="10") as server:
        source_dsn = server.create_database("shops")
        async with connect("The source", source_dsn) as connection:
            await create_source(connection, MODEL)
        await execute(source_dsn, *FILL, PUBLISH)
        pipeline = Pipeline(MODEL, data_plane, source_dsn, database(), capture="log", capture_slot=SLOT)
        async with pipeline:
            yield Shops(server, pipeline)


async def test_whatever_changes_arrives_in_the_next_run_and_without_the_log_a_scan_brings_it(
    database: Callable[[], str], data_plane: LocalDataPlane
) -> None:
    async with shops(database, data_plane) as running:
        await running.until_log()
        await _every_change(running)
        await _prepared_and_open(running)
        await _a_broken_contract(running)
        await _too_much_of_the_log(running)
        await _check_by_scan(running)
        await _every_failure(running)
        await _switched_off(running)


async def _every_change(shops: Shops) -> None:
    for name, statements in CHANGES.items():
        print(name)
        await shops.change(statements)
        run = await shops.tick()
        assert run.capture == "log" or name == "full replica identity", name
        await shops.equal()
        if name != "full replica identity":
            await shops.deleted()
        else:
            # A changed replica identity needs a new slot.
            await shops.until_log()
            await shops.pipeline.tick("sweep")


async def _prepared_and_open(shops: Shops) -> None:
    """What is not committed at the snapshot comes when it is, and only a later run lets the source forget it."""
    async with connect("The source", shops.pipeline.source_dsn) as prepared:
        await prepared.execute("BEGIN; UPDATE sale SET amount = 50 WHERE sale_id = 50; PREPARE TRANSACTION 'p'")
    async with connect("The source", shops.pipeline.source_dsn) as opened:
        await opened.execute("BEGIN; UPDATE sale SET amount = 51 WHERE sale_id = 51")
        await shops.change("UPDATE sale SET amount = 52 WHERE sale_id = 52")
        assert (await shops.tick()).tables["sale"].rows == 1
        await opened.execute("COMMIT")
    assert (await shops.tick()).tables["sale"].rows == 1
    await asyncio.to_thread(shops.server.restart)
    await shops.change("COMMIT PREPARED 'p'")
    run = await shops.tick()
    assert (run.capture, run.tables["sale"].rows) == ("log", 1)
    await shops.equal()


async def _a_broken_contract(shops: Shops) -> None:
    """The slot keeps what changes until the contract holds again."""
    await shops.change("ALTER TABLE sale RENAME note TO remark; UPDATE sale SET amount = 60 WHERE sale_id = 60")
    with pytest.raises(SchemaDrift):
        await shops.pipeline.ingest.work(ExtractTrigger())
    await shops.change("ALTER TABLE sale RENAME remark TO note; DELETE FROM sale WHERE sale_id = 61")
    run = await shops.tick()
    assert (run.capture, run.tables["sale"].rows, run.deleted["sale"].rows) == ("log", 1, 1)
    await shops.deleted()


async def _too_much_of_the_log(shops: Shops) -> None:
    """A scan costs less. Ingest drops a slot that makes the source keep too much."""
    big = "UPDATE sale SET amount = amount + 1; " * 20
    shops.pipeline.use(log_bytes=MIB // 4)
    await shops.change(big.rstrip("; "))
    assert (await shops.tick()).capture == "scan"
    await shops.equal()
    shops.pipeline.use(log_bytes=1024 * MIB)
    await shops.until_log()
    shops.pipeline.use(slot_bytes=1)
    await shops.change("UPDATE sale SET amount = 70 WHERE sale_id = 70")
    with capture_logs() as logs:
        assert (await shops.tick()).capture == "scan"
    assert [log["slot"] for log in logs if log["event"] == LogEvent.SLOT_DROPPED] == [SLOT]
    await shops.equal()
    shops.pipeline.use(slot_bytes=1024 * MIB)
    await shops.until_log()


async def _check_by_scan(shops: Shops) -> None:
    """A scan finds what the log did not name. Only then the check fails."""
    shops.pipeline.use(log_check=timedelta(0))
    await shops.change("UPDATE sale SET amount = 80 WHERE sale_id = 80")
    with capture_logs() as logs:
        assert (await shops.tick()).checks_log
    assert [log["RowsMissedByLog"] for log in logs if log["event"] == LogEvent.LOG_CHECKED] == [0]
    # As if the log had not named a row: its transaction is no longer in it.
    await shops.change("UPDATE sale SET amount = 81 WHERE sale_id = 81")
    await shops.change(FAILURES["another client advanced"][0])
    position = "totesys_ingest.slot_verdict._broken"
    with capture_logs() as logs, pytest.MonkeyPatch.context() as patch:
        patch.setattr(position, lambda *_: None)
        assert (await shops.tick()).checks_log
    assert [log["rows"] for log in logs if log["event"] == LogEvent.MISSED_ROWS_FOUND] == [{"fact_sale": 1}]
    await shops.equal()
    shops.pipeline.use(log_check=timedelta(days=1))


async def _every_failure(shops: Shops) -> None:
    for reason, (failure, remedy) in FAILURES.items():
        print(reason)
        await shops.change("UPDATE sale SET amount = amount + 1 WHERE sale_id <= 100")
        await shops.change(failure)
        shops.pipeline.restart()
        with capture_logs() as logs:
            assert (await shops.tick()).capture == "scan"
        suspended = [log["reason"] for log in logs if log["event"] == LogEvent.LOG_CAPTURE_SUSPENDED]
        assert [reason in one for one in suspended] == [True], suspended
        await shops.equal()
        await shops.change(remedy)
        await shops.until_log()


async def _switched_off(shops: Shops) -> None:
    """Ingest leaves no slot behind that nobody reads."""
    shops.pipeline.use(capture="scan")
    await shops.tick()
    assert await value(shops.pipeline.source_dsn, "SELECT count(*) FROM pg_replication_slots") == 0
