"""Each stage tells a lineage service of each run: its begin, its end, and where every column comes from."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from openlineage.client import event_v2, facet_v2
from openlineage.client.serde import Serde
from pydantic import SecretStr

from tests.pipeline import Pipeline
from tests.sources import execute
from totesys.errors import CorruptObject
from totesys.lineage_sender import lineage_sent
from totesys.triggers import RECONCILE, ExtractTrigger
from totesys_cli.local.ports import LOOPBACK
from totesys_load.load_settings import LoadSettings

Event = dict[str, Any]


@asynccontextmanager
async def receiving(events: list[Event], refuses: int) -> AsyncIterator[str]:
    """A lineage service that refuses its first requests."""
    left = refuses

    async def take(request: web.Request) -> web.Response:
        nonlocal left
        assert request.headers["Authorization"] == "Bearer key"
        left -= 1
        if left >= 0:
            return web.Response(status=503)
        events.append(await request.json())
        return web.Response(status=201)

    app = web.Application()
    app.router.add_post("/api/v1/lineage", take)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, LOOPBACK, 0).start()
    try:
        yield f"http://{LOOPBACK}:{runner.addresses[0][1]}/api/v1/lineage"
    finally:
        await runner.cleanup()


def sends_to(library: Pipeline, url: str) -> LoadSettings:
    """The settings of all stages in one: the pipeline runs them in this process."""
    given = {
        "openlineage_url": url,
        "openlineage_api_key": SecretStr("key"),
        "source_dsn": SecretStr(library.source_dsn),
    }
    settings = LoadSettings.model_validate(library.load.settings.model_dump() | given)
    return settings.model_copy(update={"model": "tests.models.library"})


def official(event: Event) -> Event:
    """The event as OpenLineage's own client builds it: it refuses what the schema does not know or requires."""
    fields = facet_v2.schema_dataset.SchemaDatasetFacetFields
    lineage = facet_v2.column_lineage_dataset

    def facet(kind: str, content: Event) -> Any:
        given = {key: value for key, value in content.items() if not key.startswith("_")}
        match kind:
            case "schema":
                columns = [fields(**one) for one in given["fields"]]
                return facet_v2.schema_dataset.SchemaDatasetFacet(columns, producer=content["_producer"])
            case "columnLineage":
                made = {
                    column: lineage.Fields([lineage.InputField(**one) for one in of["inputFields"]])
                    for column, of in given["fields"].items()
                }
                return lineage.ColumnLineageDatasetFacet(made, producer=content["_producer"])
            case "outputStatistics":
                statistics = facet_v2.output_statistics_output_dataset.OutputStatisticsOutputDatasetFacet
                return statistics(**given, producer=content["_producer"])
            case "errorMessage":
                return facet_v2.error_message_run.ErrorMessageRunFacet(**given, producer=content["_producer"])
        raise AssertionError(kind)

    def facets(content: Event, name: str = "facets") -> Event:
        return {kind: facet(kind, one) for kind, one in content.get(name, {}).items()}

    def dataset(kind: Any, one: Event, **more: Any) -> Any:
        return kind(namespace=one["namespace"], name=one["name"], facets=facets(one), **more)

    built = event_v2.RunEvent(
        eventType=event_v2.RunState(event["eventType"]),
        eventTime=event["eventTime"],
        producer=event["producer"],
        run=event_v2.Run(event["run"]["runId"], facets(event["run"])),
        job=event_v2.Job(**event["job"]),
        inputs=[dataset(event_v2.InputDataset, one) for one in event["inputs"]],
        outputs=[
            dataset(event_v2.OutputDataset, one, outputFacets=facets(one, "outputFacets")) for one in event["outputs"]
        ],
    )
    made: Event = json.loads(Serde.to_json(built))
    return made


def without_empty(value: Any) -> Any:
    """Without what the client adds where there is nothing to say."""
    if isinstance(value, dict):
        cleaned = {key: without_empty(one) for key, one in value.items()}
        return {key: one for key, one in cleaned.items() if one not in ({}, [], None)}
    return [without_empty(one) for one in value] if isinstance(value, list) else value


async def test_every_run_of_every_stage_is_told_with_its_datasets_and_columns(
    library: Pipeline, tmp_path: Path
) -> None:
    events: list[Event] = []
    async with receiving(events, refuses=1) as url, lineage_sent(sends_to(library, url)):
        await library.tick()

    told = [(one["job"]["name"], one["eventType"]) for one in events]
    assert told == [(stage, state) for stage in ("ingest", "transform", "load") for state in ("START", "COMPLETE")]
    for start, end in zip(events[::2], events[1::2], strict=True):
        assert start["run"]["runId"] == end["run"]["runId"]
    for event in events:
        assert without_empty(official(event)) == without_empty(event)

    ingest, transform, load = events[1::2]
    for earlier, later in ((ingest, transform), (transform, load)):
        made = {(one["namespace"], one["name"]) for one in earlier["outputs"]}
        assert {(one["namespace"], one["name"]) for one in later["inputs"]} <= made
    assert {one["name"].rpartition(".")[2] for one in load["outputs"]} == {t.name for t in library.model.tables}
    fact = library.model.facts[0]
    (output,) = (one for one in transform["outputs"] if one["name"].endswith(f"/{fact.name}"))
    lineage = output["facets"]["columnLineage"]["fields"]
    for column in fact.columns:
        expected = {name.partition(".")[2] for name in library.model.source_columns(fact, column)}
        assert {one["field"] for one in lineage.get(column.name, {"inputFields": []})["inputFields"]} == expected
    assert output["outputFacets"]["outputStatistics"]["rowCount"] > 0
    assert not [event for event in events if "password" in json.dumps(event).lower()]

    # A run that fails, told to a file.
    file = tmp_path / "lineage.jsonl"
    async with lineage_sent(sends_to(library, file.as_uri())):
        await execute(library.source_dsn, f"UPDATE {fact.sources[0]} SET {fact.key} = {fact.key}")
        await library.ingest.work(ExtractTrigger())
        manifest = await library.lake.newest_manifest()
        assert manifest is not None
        (part, *_) = next(iter(manifest.tables.values())).parts
        await library.lake.ingest.delete([part.key])
        with pytest.raises(CorruptObject):
            await library.transform.work(RECONCILE)
    *_, failed = map(json.loads, file.read_text().splitlines())
    assert (failed["job"]["name"], failed["eventType"]) == ("transform", "FAIL")
    assert part.key in failed["run"]["facets"]["errorMessage"]["message"]
    assert without_empty(official(failed)) == without_empty(failed)
