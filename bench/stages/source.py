"""Rows out of the source, as CSV."""

from dataclasses import dataclass

from bench.stages.psql import psql
from bench.stages.step import Meter, Step
from totesys.sql import column_list, qualified
from totesys.table import SourceTable
from totesys_ingest.extraction_jobs import Job, plan_jobs
from totesys_ingest.ingest_settings import IngestSettings
from totesys_ingest.source_catalog import read_pages
from totesys_ingest.source_connection import SourceConnection, csv_header, open_source

_SCHEMA = "public"


@dataclass(frozen=True)
class CsvPart:
    """A part as ingest writes it: `chunks` are as COPY gave them, the header first."""

    rows: int
    chunks: tuple[bytes, ...]

    @property
    def bytes(self) -> int:
        return sum(len(chunk) for chunk in self.chunks)


async def copy_out(meter: Meter, dsn: str, table: SourceTable) -> list[CsvPart]:
    """Measure COPY to CSV over one connection; the parts that it gives."""
    async with open_source(dsn, _SCHEMA) as source:
        jobs = await _jobs(source, table)
        parts = [await _read(source, job) for job in jobs]

        async def drop() -> None:
            for job in jobs:
                await source.copy(job, _drop)

        query = f"COPY (SELECT {column_list(table.column_names)} FROM {qualified(_SCHEMA, table.name)})"
        await meter.measure(
            Step(
                name="COPY out",
                rows=sum(part.rows for part in parts),
                bytes=sum(part.bytes for part in parts),
                ours=drop,
                limit="psql COPY to /dev/null",
                bare=lambda: psql(dsn, f"{query} TO STDOUT (FORMAT csv)"),
            )
        )
    return parts


async def _jobs(source: SourceConnection, table: SourceTable) -> list[Job]:
    pages, page_bytes = await read_pages(source.connection, source.schema, [table])
    part_bytes: int = IngestSettings.model_fields["part_bytes"].default
    return plan_jobs([table], pages, part_bytes // page_bytes)


async def _read(source: SourceConnection, job: Job) -> CsvPart:
    chunks = [csv_header(job.table.column_names)]

    async def keep(data: bytes) -> None:
        chunks.append(bytes(data))

    rows = await source.copy(job, keep)
    return CsvPart(rows, tuple(chunks))


async def _drop(_: bytes) -> None:
    pass
