"""However many transactions the source has had: what is new is told from what is old, and damage is not excused."""

from collections.abc import AsyncIterator, Callable

import pytest

from tests.models.library import MODEL
from tests.pipeline import Pipeline
from tests.servers import Server, own_server
from tests.sources import execute, make_library, rows, verified
from totesys_cli.local.local_data_plane import LocalDataPlane

CIRCLE = 2**32
# Each less than half a circle after the one before.
TRANSACTIONS = [
    1_500_000_000,
    CIRCLE // 2 - 30,
    3_000_000_000,
    CIRCLE - 30,
    CIRCLE + 5_000,
]


@pytest.fixture(scope="module")
async def server() -> AsyncIterator[Server]:
    async with own_server(autovacuum="off") as server:
        yield server


async def test_a_tick_brings_what_changed_and_verification_finds_damage_after_any_number_of_transactions(
    server: Server, database: Callable[[], str], data_plane: LocalDataPlane
) -> None:
    await server.go_to(100_000)
    source = await make_library(server.create_database("library"))
    # Rows that nobody writes again: their transaction ids become those of the distant past, and of the future.
    await execute(source, "INSERT INTO loan SELECT n, 1, 'Cyd', now(), 2, false FROM generate_series(10, 500) AS n")
    async with Pipeline(MODEL, data_plane, source, database()) as library:
        await library.tick()
        for transactions in TRANSACTIONS:
            await server.go_to(transactions)
            # What was written a circle ago looks new while its ids pass: it comes once more, and changes nothing.
            await change_and_tick(library)
            for _ in range(4):
                assert await change_and_tick(library) == {"loan": 1}
            assert await verified(source, library.warehouse_dsn, MODEL)
            damage = "UPDATE warehouse.fact_loan SET fee = {} WHERE loan_id = 300"
            await execute(library.warehouse_dsn, damage.format(7))
            assert not await verified(source, library.warehouse_dsn, MODEL)
            await execute(library.warehouse_dsn, damage.format(2))
        versions = "SELECT count(*) FROM warehouse.fact_loan WHERE {} 1"
        assert await rows(library.warehouse_dsn, versions.format("loan_id =")) == [(1 + 5 * len(TRANSACTIONS),)]
        assert await rows(library.warehouse_dsn, versions.format("loan_id >")) == [(1 + 491,)]


async def change_and_tick(library: Pipeline) -> dict[str, int]:
    """How many rows of each table a tick brings after some transactions that change one."""
    for _ in range(3):
        await execute(library.source_dsn, "UPDATE loan SET fee = fee + 1 WHERE loan_id = 1")
    await library.tick()
    manifest = await library.lake.newest_manifest()
    assert manifest is not None
    assert manifest.xmin_before is not None
    return {name: table.rows for name, table in manifest.tables.items()}
