"""Ingest works with whatever number of connections its role may have, down to one."""

from collections.abc import AsyncIterator, Callable

import pytest

from tests.models.shops import MODEL
from tests.pipeline import Pipeline
from tests.shops_history import make_open_shops
from tests.sources import execute, verified
from totesys_cli.local.local_data_plane import LocalDataPlane

pytestmark = pytest.mark.postgres


ROLE = "few"


@pytest.fixture
async def owner(database: Callable[[], str]) -> AsyncIterator[str]:
    """The DSN of the owner of a source that the role `few` may read."""
    owner = await make_open_shops(database())
    await execute(
        owner,
        f"CREATE ROLE {ROLE} LOGIN PASSWORD '{ROLE}'",
        f"GRANT USAGE ON SCHEMA public TO {ROLE}",
        f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {ROLE}",
        "INSERT INTO sale SELECT n, 1 + n % 4, 1 + n % 4, n, 'note', now() FROM generate_series(1, 900) AS n",
    )
    yield owner
    await execute(owner, f"DROP OWNED BY {ROLE}", f"DROP ROLE {ROLE}")


@pytest.mark.parametrize("limit", [1, 2, 3])
async def test_ingest_works_with_few_connections(
    database: Callable[[], str], data_plane: LocalDataPlane, owner: str, limit: int
) -> None:
    await execute(owner, f"ALTER ROLE {ROLE} CONNECTION LIMIT {limit}")
    _, _, rest = owner.partition("@")
    # Several jobs, parts and runs, and more connections than there may be.
    small = {"part_bytes": 1, "scan_bytes": 1, "run_bytes": 1, "connections": 4, "full_connections": 4}
    async with Pipeline(MODEL, data_plane, f"postgresql://{ROLE}:{ROLE}@{rest}", database(), **small) as pipeline:
        for change in ("SELECT", "UPDATE sale SET amount = amount + 1 WHERE sale_id % 3 = 0", "DELETE FROM sale"):
            await execute(owner, change)
            await pipeline.tick("sweep")
            assert await verified(owner, pipeline.warehouse_dsn, MODEL)
        manifest = await pipeline.lake.newest_manifest()
        assert manifest is not None
        assert manifest.position is not None
        assert "a" in manifest.position.outcomes.letters, "the source is signed with one connection, too"
