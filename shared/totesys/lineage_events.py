"""OpenLineage events of the stages' work, from the declarations. Pure. Schema: OpenLineage 2-0-2."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from totesys.dsn.resolve import resolve
from totesys.run_work import RunWork
from totesys.schema import Model
from totesys.table import Column, Table, WarehouseTable
from totesys.version import VERSION

PRODUCER = f"urn:totesys:{VERSION}"
_SPEC = "https://openlineage.io/spec"
_SCHEMA = f"{_SPEC}/2-0-2/OpenLineage.json#/$defs/RunEvent"
_FACETS = {
    "schema": "1-2-0/SchemaDatasetFacet",
    "columnLineage": "1-2-0/ColumnLineageDatasetFacet",
    "outputStatistics": "1-0-2/OutputStatisticsOutputDatasetFacet",
    "errorMessage": "1-0-1/ErrorMessageRunFacet",
}
# The name of a dataset in a namespace, as OpenLineage names those of Postgres and S3.
Name = tuple[str, str]


@dataclass(frozen=True)
class Datasets:
    """Where a stage's tables are. A database is empty where the stage does not use it."""

    ingest_bucket: str
    processed_bucket: str
    source_dsn: str = ""
    source_schema: str = ""
    warehouse_dsn: str = ""
    warehouse_schema: str = ""

    def extracted(self, model: Model, table: Table) -> Name:
        """A source table's CSV."""
        return f"s3://{self.ingest_bucket}", f"{model.lake_schema(table)}/{table.name}"

    def built(self, model: Model, table: Table) -> Name:
        """A warehouse table's Parquet."""
        return f"s3://{self.processed_bucket}", f"{model.lake_schema(table)}/{table.name}"

    def source(self, table: Table) -> Name:
        """A table of the source."""
        return _in_postgres(self.source_dsn, self.source_schema, table)

    def warehouse(self, table: Table) -> Name:
        """A table of the warehouse."""
        return _in_postgres(self.warehouse_dsn, self.warehouse_schema, table)


def _in_postgres(dsn: str, schema: str, table: Table) -> Name:
    target = resolve(dsn)
    # A DSN with a misplaced password may have a part of it where the host should be.
    host = target.hosts[0] if target.shown else "unknown"
    return f"postgres://{host}", f"{target.database}.{schema}.{table.name}"


def run_event(work: RunWork, at: datetime, namespace: str, model: Model, where: Datasets) -> dict[str, Any]:
    """The event of a begin or an end. Only an end has datasets: those of the tables in the run."""
    moves = list(_moves(work, model, where))
    inputs = {name: table for _, _, sources in moves for table, name in sources}
    run: dict[str, Any] = {"runId": str(work.id)}
    if work.error:
        message = {"message": work.error, "programmingLanguage": "Python"}
        run["facets"] = {"errorMessage": _facet("errorMessage", message)}
    return {
        "eventType": work.state,
        "eventTime": at.isoformat(),
        "producer": PRODUCER,
        "schemaURL": _SCHEMA,
        "run": run,
        "job": {"namespace": namespace, "name": work.stage},
        "inputs": [_dataset(name, schema=_fields(table.columns)) for name, table in inputs.items()],
        "outputs": [_output(model, work, output, name, sources) for output, name, sources in moves],
    }


_Sources = list[tuple[Table, Name]]


def _moves(work: RunWork, model: Model, where: Datasets) -> Iterator[tuple[Table, Name, _Sources]]:
    """Each table that the stage wrote, its name, and what it was made from."""
    if work.stage == "ingest":
        for source in model.sources:
            if source.name in work.rows:
                yield source, where.extracted(model, source), [(source, where.source(source))]
        return
    for table in model.tables:
        if table.name in work.rows and work.stage == "transform":
            sources = [(source, where.extracted(model, source)) for source in map(model.source, table.sources)]
            yield table, where.built(model, table), [*sources]
        elif table.name in work.rows and work.stage == "load":
            yield table, where.warehouse(table), [(table, where.built(model, table))]


def _output(model: Model, work: RunWork, table: Table, name: Name, sources: _Sources) -> dict[str, Any]:
    stored = table.stored_columns if work.stage == "load" and isinstance(table, WarehouseTable) else table.columns
    rows = _facet("outputStatistics", {"rowCount": work.rows[table.name]})
    facets = {"schema": _fields(stored)}
    if lineage := dict(_lineage(model, work.stage, table, sources)):
        facets["columnLineage"] = {"fields": lineage}
    return {**_dataset(name, **facets), "outputFacets": {"outputStatistics": rows}}


def _lineage(model: Model, stage: str, table: Table, sources: _Sources) -> Iterator[tuple[str, dict[str, Any]]]:
    """What each column is made from, where it is made from columns."""
    names = {source.name: name for source, name in sources}
    for column in table.columns:
        made_from: Iterable[str] = (f"{table.name}.{column.name}",)
        if stage == "transform" and isinstance(table, WarehouseTable):
            made_from = model.source_columns(table, column)
        inputs = [
            {"namespace": names[source][0], "name": names[source][1], "field": field}
            for source, _, field in (one.partition(".") for one in made_from)
            if source in names
        ]
        if inputs:
            yield column.name, {"inputFields": inputs}


def _fields(columns: Iterable[Column]) -> dict[str, Any]:
    return {
        "fields": [
            {"name": column.name, "type": column.type.postgres}
            | ({"description": column.description} if column.description else {})
            for column in columns
        ]
    }


def _dataset(name: Name, **facets: Mapping[str, Any]) -> dict[str, Any]:
    named = {kind: _facet(kind, content) for kind, content in facets.items()}
    return {"namespace": name[0], "name": name[1], "facets": named}


def _facet(kind: str, content: Mapping[str, Any]) -> dict[str, Any]:
    file = _FACETS[kind]
    return {
        "_producer": PRODUCER,
        "_schemaURL": f"{_SPEC}/facets/{file}.json#/$defs/{file.partition('/')[2]}",
        **content,
    }
