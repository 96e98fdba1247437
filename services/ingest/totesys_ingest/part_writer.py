"""Writes one connection's rows into parts, cut between rows."""

import time

from totesys.lake.bucket import Bucket
from totesys.lake.keys import deleted_key, part_key, ranges_key
from totesys.lake.upload import Upload
from totesys.table import Capture
from totesys_ingest.extraction_jobs import Job, Stream
from totesys_ingest.open_run import ExtractionSpec, OpenRun
from totesys_ingest.source_connection import SourceConnection, csv_header


def count_rows(csv: bytes) -> int:
    """The rows in complete lines of CSV: the line ends outside quotes."""
    if b'"' not in csv:
        return csv.count(b"\n")
    # Every second piece between quotes is outside them. Doubled quotes change nothing around them, and without them
    # there are few pieces, however many quotes a text has.
    return sum(piece.count(b"\n") for piece in csv.replace(b'""', b"").split(b'"')[::2])


class PartWriter:
    """Writes jobs one after another. A part ends when it is full, or when the next job has another table or run.

    So a job with many rows becomes several parts, and jobs with few rows share one.
    """

    def __init__(self, bucket: Bucket, spec: ExtractionSpec, part_bytes: int) -> None:
        self._bucket = bucket
        self._spec = spec
        self._part_bytes = part_bytes
        self._open: _OpenPart | None = None

    async def copy(self, source: SourceConnection, run: OpenRun, job: Job) -> None:
        """Stream a job's rows into the run. Raises what `SourceConnection.copy` and `Upload` raise."""
        if self._open is not None and not (run is self._open.run and job.stream == self._open.stream):
            await self.finish()
        part = self._open or self._begin(run, job.stream)
        part.jobs += 1
        counted = 0

        async def write(data: bytes) -> None:
            # Complete rows: the server sends each row in a CopyData message of its own ("Message Formats" in the
            # documentation of Postgres), and the driver passes complete messages on.
            nonlocal part, counted
            if part.bytes >= self._part_bytes:
                await part.put()
                jobs, part = part.jobs, self._begin(run, job.stream)
                part.jobs = jobs
            rows = count_rows(data)
            counted += rows
            await part.write(data, rows)

        sent = await source.copy(job, write)
        assert counted == sent, f"{counted} rows were counted, the source sent {sent}"

    async def finish(self) -> None:
        """Put the open part, if there is one, and end its jobs."""
        part, self._open = self._open, None
        if part is not None:
            await part.put()
            part.run.end_jobs(part.jobs)

    async def abort(self) -> None:
        """Leave no object of an open part behind."""
        if self._open is not None:
            await self._open.abort()

    def _begin(self, run: OpenRun, stream: Stream) -> "_OpenPart":
        self._open = _OpenPart(self._bucket, self._spec.model.lake_schema(stream.table), run, stream)
        return self._open


class _OpenPart:
    """A part that is being written. `jobs` counts the jobs of its run that end with it."""

    def __init__(self, bucket: Bucket, schema: str, run: OpenRun, stream: Stream) -> None:
        self.run = run
        self.stream = stream
        self.jobs = 0
        self.bytes = 0
        self._rows = 0
        self._bucket = bucket
        self._schema = schema
        self._started = time.monotonic()
        self._upload: Upload | None = None

    async def write(self, data: bytes, rows: int) -> None:
        upload = self._upload or await self._begin()
        await upload.write(data)
        self._rows += rows
        self.bytes += len(data)
        self.run.bytes += len(data)

    async def put(self) -> None:
        """Make the part an object.

        An incremental table without rows has no part. A full-refresh table always has one, because a join needs all
        its sides, and so have keys: none means that every row was deleted.
        """
        full_refresh = self.stream.rows and self.stream.table.capture is Capture.FULL_REFRESH
        if self._upload is None and (self.stream.keys or full_refresh):
            await self._begin()
        if self._upload is not None:
            part = await self._upload.finish(self._rows)
            self.run.add(self.stream, part, time.monotonic() - self._started)

    async def abort(self) -> None:
        if self._upload is not None:
            await self._upload.abort()

    async def _begin(self) -> Upload:
        part = self.run.next_part(self.stream)
        key_of = deleted_key if self.stream.deleted else ranges_key if self.stream.keys else part_key
        key = key_of(self._schema, self.stream.table.name, self.run.number, part, "csv")
        self.run.part_keys.append(key)
        self._upload = Upload(self._bucket, key)
        await self._upload.write(csv_header(self.stream.columns))
        return self._upload
