"""PgBouncer: a pooler that keeps sessions works as it is installed; one that does not is refused at once."""

from collections.abc import Callable

import asyncpg
import pytest

from tests.models.library import MODEL
from tests.pipeline import Pipeline
from tests.pooler.pgbouncer import pgbouncer, through
from tests.sources import execute, make_library, verified
from totesys.connection import connect
from totesys.errors import SettingsError
from totesys.session import SESSION
from totesys_cli.doctor.database_checks import check_source, check_warehouse
from totesys_cli.doctor.finding import FindingLevel
from totesys_cli.local.local_data_plane import LocalDataPlane
from totesys_cli.local.reachable import ReachablePostgres

IGNORED = ",".join(SESSION)
REFUSED = "is a connection pooler that shares sessions between clients. Set its pool_mode to session"
POOLERS = {
    "as installed": {},
    "the session that rested longest": {"server_round_robin": "1"},
    "one session": {"default_pool_size": "1"},
    "that takes any setting and forgets it": {"ignore_startup_parameters": IGNORED},
}


@pytest.mark.parametrize("settings", [{}, {"ignore_startup_parameters": IGNORED}], ids=["as installed", "forgetful"])
async def test_the_pipeline_runs_through_a_pooler_of_sessions(
    postgres: ReachablePostgres, data_plane: LocalDataPlane, database: Callable[[], str], settings: dict[str, str]
) -> None:
    source, warehouse = await make_library(database()), database()
    # What a role or a database has set does not count, though the pooler passes on no setting at the start.
    for dsn in (source, warehouse):
        await execute(postgres.dsn(), f"ALTER DATABASE {dsn.rpartition('/')[2]} SET DateStyle = 'German, DMY'")
    async with pgbouncer(postgres, pool_mode="session", **settings) as port:
        dsns = through(port, source), through(port, warehouse)
        async with Pipeline(MODEL, data_plane, *dsns) as pipeline:
            await pipeline.tick()
            await execute(source, "UPDATE loan SET fee = 9 WHERE loan_id = 1")
            await pipeline.tick("sweep")
            assert await verified(*dsns, MODEL)
        for found in (
            *await check_source(MODEL, dsns[0], "public"),
            *await check_warehouse(MODEL, dsns[1], "warehouse"),
        ):
            assert found.level != FindingLevel.FAIL, found
        async with connect("The source", dsns[0]) as connection:
            had = {name: await connection.fetchval("SELECT current_setting($1)", name) for name in ("DateStyle",)}
        assert had == {"DateStyle": "ISO, YMD"}


@pytest.mark.parametrize("mode", ["transaction", "statement"])
@pytest.mark.parametrize("kind", POOLERS)
async def test_a_pooler_of_transactions_is_refused_at_once_in_one_sentence(
    postgres: ReachablePostgres, database: Callable[[], str], mode: str, kind: str
) -> None:
    direct = await make_library(database())
    async with pgbouncer(postgres, pool_mode=mode, **POOLERS[kind]) as port:
        dsn = through(port, direct)
        for _ in range(2):
            with pytest.raises(SettingsError, match=REFUSED):
                async with connect("The source", dsn):
                    raise AssertionError
        for found in (await check_source(MODEL, dsn, "public"), await check_warehouse(MODEL, dsn, "warehouse")):
            assert found[0].level == FindingLevel.FAIL
            assert REFUSED in f"{found[0].sentence} {found[0].remedy}"


async def test_a_refused_pooler_keeps_no_setting_of_ours(
    postgres: ReachablePostgres, database: Callable[[], str]
) -> None:
    direct = database()
    async with pgbouncer(postgres, pool_mode="transaction", default_pool_size="1") as port:
        with pytest.raises(SettingsError, match=REFUSED):
            async with connect("The source", through(port, direct)):
                raise AssertionError
        other = await asyncpg.connect(through(port, direct), statement_cache_size=0)
        assert await other.fetchval("SELECT current_setting('statement_timeout')") == "0"
        await other.close()
