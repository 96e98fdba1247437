"""A ledger belongs to one model in one schema: another one in the same database is refused before it is written to."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.models.library import MODEL
from tests.pipeline import Pipeline
from tests.sources import make_library, rows, verified
from totesys.errors import WarehouseMismatch
from totesys.triggers import RECONCILE
from totesys_cli.local.local_data_plane import LocalDataPlane


@pytest.mark.parametrize("other", ["model", "schema"])
async def test_a_second_model_or_schema_in_a_warehouse_is_refused(
    database: Callable[[], str], data_plane: LocalDataPlane, other: str
) -> None:
    source, warehouse = await make_library(database()), database()
    async with Pipeline(MODEL, data_plane, source, warehouse) as library:
        await library.tick()
        before = await rows(warehouse, "SELECT * FROM etl.run")
        if other == "model":
            library.load.model = replace(MODEL, name="another library")
        else:
            library.load.settings = library.load.settings.model_copy(update={"warehouse_schema": "elsewhere"})
        with pytest.raises(WarehouseMismatch, match=r"belongs to the model library in schema warehouse, not to"):
            await type(library.load)(library.load.settings, library.lake, library.load.model).work(RECONCILE)
        assert await rows(warehouse, "SELECT * FROM etl.run") == before
        library.restart()
        await library.tick()
        assert await verified(source, warehouse, MODEL)
