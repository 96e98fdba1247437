"""The parts that one connection's rows become, cut between two rows."""

import time

from totesys.lake.bucket import Bucket
from totesys.lake.keys import part_key, ranges_key
from totesys.lake.upload import Upload
from totesys.schema import Model
from totesys.table import Capture
from totesys_ingest.plan import Job, Stream
from totesys_ingest.run_writer import Extraction, OpenRun
from totesys_ingest.source import Source, csv_header


def count_rows(csv: bytes) -> int:
    """The rows of whole lines of CSV: the line ends that are in no quotes."""
    if b'"' not in csv:
        return csv.count(b"\n")
    # Quotes come in pairs: what is outside is every second piece. Two in a row change nothing for what is around them;
    # without them there are few pieces, however many quotes a text has.
    return sum(piece.count(b"\n") for piece in csv.replace(b'""', b"").split(b'"')[::2])


class PartWriter:
    """Writes jobs, one after another. A part ends when it is full, or when the next job is another table's or run's.

    So a job that gives many rows becomes several parts, and jobs that give few share one.
    """

    def __init__(self, bucket: Bucket, model: Model, extraction: Extraction, part_bytes: int) -> None:
        self._bucket = bucket
        self._model = model
        self._extraction = extraction
        self._part_bytes = part_bytes
        self._open: _OpenPart | None = None

    async def copy(self, source: Source, run: OpenRun, job: Job) -> None:
        """Stream a job's rows into the run. Raises what `Source.copy` and `Upload` raise."""
        if self._open is not None and not self._open.takes(run, job):
            await self.finish()
        part = self._open or self._begin(run, job.stream)
        part.jobs += 1
        counted = 0

        async def write(data: bytes) -> None:
            # Whole rows: the server sends each in a CopyData message of its own ("Message Formats" in Postgres'
            # documentation), and the driver gives whole messages.
            nonlocal part, counted
            if part.bytes >= self._part_bytes:
                part = await self._cut(part)
            rows = count_rows(data)
            counted += rows
            await part.write(data, rows)

        sent = await source.copy(job, self._extraction.slice_of(job.table), write)
        assert counted == sent, f"{counted} rows were counted, the source sent {sent}"

    async def finish(self) -> None:
        """Put the part that is open, if there is one, and end its jobs."""
        part, self._open = self._open, None
        if part is not None:
            await part.put()
            part.run.end(part.jobs)

    async def abort(self) -> None:
        """Leave no object behind of a part that is open."""
        if self._open is not None:
            await self._open.abort()

    def _begin(self, run: OpenRun, stream: Stream) -> "_OpenPart":
        self._open = _OpenPart(self._bucket, self._model.lake_schema(stream.table), run, stream)
        return self._open

    async def _cut(self, part: "_OpenPart") -> "_OpenPart":
        await part.put()
        following = self._begin(part.run, part.stream)
        following.jobs = part.jobs
        return following


class _OpenPart:
    """A part that is being written. `jobs` are those of its run that are not at an end before it is."""

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

    def takes(self, run: OpenRun, job: Job) -> bool:
        return run is self.run and job.stream == self.stream

    async def write(self, data: bytes, rows: int) -> None:
        upload = self._upload or await self._begin()
        await upload.write(data)
        self._rows += rows
        self.bytes += len(data)
        self.run.bytes += len(data)

    async def put(self) -> None:
        """Make it an object. Of a table captured as changes there is none without rows; a join needs all its sides."""
        # That there is no key says something, too.
        if self._upload is None and (self.stream.keys or self.stream.table.capture is Capture.FULL_REFRESH):
            await self._begin()
        if self._upload is not None:
            part = await self._upload.finish(self._rows)
            self.run.add(self.stream, part, time.monotonic() - self._started)

    async def abort(self) -> None:
        if self._upload is not None:
            await self._upload.abort()

    async def _begin(self) -> Upload:
        number = self.run.next_part(self.stream)
        key_of = ranges_key if self.stream.keys else part_key
        key = key_of(self._schema, self.stream.table.name, self.run.number, number, "csv")
        self.run.keys.append(key)
        self._upload = Upload(self._bucket, key)
        await self._upload.write(csv_header(self.stream.columns))
        return self._upload
