"""The company's generated past, and its live writer, on a real source database."""

import asyncio
from collections.abc import Callable
from decimal import Decimal

import asyncpg
import pytest

from tests.sources import until_there_is
from totesys.connection import Connection, connect
from totesys.errors import DatabaseUnavailable
from totesys.model import MODEL
from totesys.model.source_tables import ADDRESS, PAYMENT
from totesys.sql import ident
from totesys_cli.source_database import create_source
from totesys_simulation import ROWS, Counts, fill, simulate
from totesys_simulation.decisions import Decisions, Keys, PlannedTransaction, Update
from totesys_simulation.worker import Pace, Worker

pytestmark = pytest.mark.postgres

SEED = 20261122


@pytest.fixture(autouse=True)
def _seed_printed() -> None:
    print(f"seed {SEED}")


async def new_source(dsn: str, *, scale: float = 0.05, seed: int = SEED) -> str:
    async with connect("The source", dsn) as connection:
        await create_source(connection, MODEL)
        await fill(connection, seed=seed, scale=scale)
    return dsn


async def contents(dsn: str) -> dict[str, list[tuple[object, ...]]]:
    async with connect("The source", dsn) as connection:
        return {table.name: await rows_of(connection, table.name) for table in MODEL.sources}


async def rows_of(connection: Connection, table: str) -> list[tuple[object, ...]]:
    return [tuple(row) for row in await connection.fetch(f"SELECT * FROM {ident(table)} ORDER BY 1")]


async def test_a_past_of_full_size_has_the_rows_that_it_says(database: Callable[[], str]) -> None:
    async with connect("The source", database()) as connection:
        await create_source(connection, MODEL)
        assert await fill(connection, seed=SEED) == ROWS
        for table, rows in ROWS.items():
            assert await connection.fetchval(f"SELECT count(*) FROM {ident(table)}") == rows


async def test_the_same_seed_gives_the_same_rows(database: Callable[[], str]) -> None:
    first = await contents(await new_source(database()))
    assert await contents(await new_source(database())) == first
    assert await contents(await new_source(database(), seed=SEED + 1)) != first


async def test_every_order_has_one_transaction_and_one_payment_of_its_amount(database: Callable[[], str]) -> None:
    async with connect("The source", await new_source(database())) as connection:
        wrong = await connection.fetchval("""
            SELECT count(*) FROM sales_order FULL JOIN transaction USING (sales_order_id)
            FULL JOIN payment USING (transaction_id) LEFT JOIN purchase_order USING (purchase_order_id)
            WHERE payment_amount IS DISTINCT FROM coalesce(units_sold * unit_price, item_quantity * item_unit_price)""")
        assert wrong == 0


async def test_a_past_holds_what_careless_code_trips_over(database: Callable[[], str]) -> None:
    rows = await contents(await new_source(database(), scale=1))
    texts = {value for row in (*rows["address"], *rows["counterparty"]) for value in row if isinstance(value, str)}
    for nuisance in (",", '"', "'", "\n", "Ł"):
        assert any(nuisance in text for text in texts), nuisance
    assert {None, ""} <= {row[2] for row in rows["address"]}
    assert any(row[2] is None for row in rows["department"])
    assert all(isinstance(row[7], Decimal) for row in rows["sales_order"])
    assert all(row[2] >= row[1] for row in rows["payment"])  # type: ignore[operator]


async def test_a_past_is_written_under_the_declared_foreign_keys(database: Callable[[], str]) -> None:
    async with connect("The source", database()) as connection:
        await create_source(connection, MODEL)
        query = """SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid), convalidated
                   FROM pg_constraint WHERE contype = 'f' ORDER BY 1, 2"""
        declared = await connection.fetch(query)
        await fill(connection, seed=SEED, scale=0.01)
        assert await connection.fetch(query) == declared


async def test_sequences_follow_on_after_the_past(database: Callable[[], str]) -> None:
    async with connect("The source", await new_source(database(), scale=0.01)) as connection:
        for table in MODEL.sources:
            key, name = ident(table.only_key), ident(table.name)
            following = await connection.fetchval(
                "SELECT nextval(pg_get_serial_sequence($1, $2))", ident(table.name), table.only_key
            )
            assert following == await connection.fetchval(f"SELECT max({key}) + 1 FROM {name}"), table.name


async def test_a_source_with_rows_is_not_filled(database: Callable[[], str]) -> None:
    dsn = await new_source(database(), scale=0.01)
    before = await contents(dsn)
    async with connect("The source", dsn) as connection:
        with pytest.raises(asyncpg.UniqueViolationError):
            await fill(connection, seed=SEED, scale=0.01)
    assert await contents(dsn) == before


async def test_a_writer_does_what_it_counts_and_leaves_nothing_open(database: Callable[[], str]) -> None:
    dsn = await new_source(database())
    before = await contents(dsn)
    heard: list[Counts] = []
    counts = await simulate(dsn, rate=2_000, seconds=2, seed=SEED, on_commit=heard.append)
    after = await contents(dsn)
    for table in MODEL.sources:
        assert len(after[table.name]) - len(before[table.name]) == counts.inserted[table.name], table.name
    changed = {name: len(set(before[name]) - set(after[name])) for name in before}
    assert all(changed[name] <= counts.updated[name] for name in changed)
    assert changed["payment"] > 0
    assert heard[-1] == counts
    assert counts.committed == len(heard)
    assert counts.rolled_back > 0
    async with connect("The source", dsn) as connection:
        sessions = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state <> 'idle'"
        assert await connection.fetchval(f"{sessions} AND pid <> pg_backend_pid()") == 0


async def test_a_writer_keeps_a_transaction_open_with_changes_in_it(database: Callable[[], str]) -> None:
    dsn, stop = await new_source(database()), asyncio.Event()
    writer = asyncio.create_task(simulate(dsn, rate=100, seconds=None, seed=SEED, stop=stop))
    async with connect("The source", dsn) as connection:
        await until_there_is(
            connection,
            """SELECT FROM pg_stat_activity WHERE datname = current_database() AND state = 'idle in transaction'
               AND backend_xid IS NOT NULL AND now() - xact_start > interval '1 second'""",
        )
    stop.set()
    async with asyncio.timeout(5):
        counts = await writer
    assert counts.rows > 0


async def test_two_writers_get_on_with_each_other(database: Callable[[], str]) -> None:
    dsn = await new_source(database())
    before = await contents(dsn)
    both = await asyncio.gather(*(simulate(dsn, rate=1_000, seconds=3, seed=SEED + number) for number in range(2)))
    after = await contents(dsn)
    for table in MODEL.sources:
        inserted = sum(counts.inserted[table.name] for counts in both)
        assert len(after[table.name]) - len(before[table.name]) == inserted, table.name


async def test_a_transaction_that_a_deadlock_ended_is_done_again(database: Callable[[], str]) -> None:
    dsn = await new_source(database(), scale=0.01)
    reports: list[Counts] = []
    async with connect("The source", dsn) as own, connect("The source", dsn, deadlock_timeout="10s") as other:
        keys = Keys(referenced={}, last={})
        worker = Worker(own, keys, Decisions("7", keys), Pace(1, None, asyncio.Event()), reports.append)
        changes = (Update(ADDRESS, 1, {"city": "Leeds"}), Update(PAYMENT, 1, {"paid": True}))
        async with other.transaction():
            await other.execute("UPDATE payment SET paid = false WHERE payment_id = 1")
            work = asyncio.create_task(worker.execute(PlannedTransaction(changes, undone=(), commits=True), hold=0))
            await until_there_is(other, "SELECT FROM pg_locks WHERE NOT granted")
            await other.execute("UPDATE address SET city = 'Hull' WHERE address_id = 1")
        await work
        assert await other.fetchval("SELECT city FROM address WHERE address_id = 1") == "Leeds"
        assert await other.fetchval("SELECT paid FROM payment WHERE payment_id = 1")
    *ended, last = [(counts.committed, counts.rolled_back, counts.rows) for counts in reports]
    # Whoever is quicker after a deadlock may cause another.
    assert (set(ended), last) == ({(0, 1, 0)}, (1, 0, 2))


async def test_a_database_that_does_not_answer_is_named_and_its_password_is_not() -> None:
    dsn = "postgresql://totes:secret@127.0.0.1:1/totesys"
    with pytest.raises(DatabaseUnavailable, match=r"127\.0\.0\.1:1/totesys") as caught:
        await simulate(dsn, rate=1, seconds=1, seed=SEED)
    assert "secret" not in str(caught.value)
