"""`GET /trace/{table}/{id}` of load."""

from typing import Annotated

from fastapi import APIRouter, HTTPException, Path, Query, Request

from totesys.service.problems import documented
from totesys.service.running import running
from totesys_load.load_stage import Load
from totesys_load.trace.origin_models import Trace
from totesys_load.trace.row_origin import TraceRequest, trace_row

router = APIRouter(tags=["runs"])


@router.get("/trace/{table}/{id}", responses=documented(404, 422, 503))
async def trace(
    request: Request,
    table: str,
    id_: Annotated[str, Path(alias="id", max_length=200)],
    version: Annotated[int | None, Query(ge=1, lt=2**63, description="only this version id of a fact")] = None,
) -> Trace:
    """Where a row of the warehouse came from: its run, snapshot and objects, its deletions and quarantined rows."""
    stage = running(request).stage
    assert isinstance(stage, Load)
    if table not in {one.name for one in stage.model.tables}:
        raise HTTPException(404, f"The warehouse has no table {table}.")
    dsn, schema = stage.settings.warehouse_dsn.get_secret_value(), stage.settings.warehouse_schema
    found = await trace_row(stage.lake, stage.model, dsn, schema, TraceRequest(table, id_, version))
    if found is None:
        raise HTTPException(404, f"Neither the warehouse nor the quarantine has {table} {id_}.")
    return found
