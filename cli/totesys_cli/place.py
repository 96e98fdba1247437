"""Where a data plane is, and what of it a command opens."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TypedDict

from totesys.lake.store import Lake, open_lake
from totesys.service.queue import Queue, find_queue
from totesys_cli.aws import aws_errors
from totesys_cli.local.credentials import known
from totesys_cli.local.data_plane import REGION


class ClientOptions(TypedDict, total=False):
    """What an AWS client is told besides its own settings."""

    endpoint_url: str
    region_name: str
    aws_access_key_id: str
    aws_secret_access_key: str


@dataclass(frozen=True)
class Place:
    """Where buckets and queues are: the data plane's name, a local stack's endpoint (None: AWS's settings say)."""

    name: str
    endpoint: str | None = None

    def client(self) -> ClientOptions:
        """What a client of the place is told."""
        if self.endpoint is None:
            return {}
        options: ClientOptions = {"endpoint_url": self.endpoint, "region_name": REGION}
        if credentials := known(self.endpoint):
            options["aws_access_key_id"] = credentials.access_key
            options["aws_secret_access_key"] = credentials.secret_key
        return options

    def bucket(self, kind: str) -> str:
        """The name of the bucket `ingest` or `processed`."""
        return f"{self.name}-{kind}"

    @asynccontextmanager
    async def lake(self) -> AsyncIterator[Lake]:
        """The lake, to be read only. Raises BadInput, SettingsError or AccessDenied if it does not answer."""
        buckets = self.bucket("ingest"), self.bucket("processed")
        async with AsyncExitStack() as stack:
            with aws_errors(f"The lake {self.name}"):
                lake = await stack.enter_async_context(open_lake(*buckets, read_only=True, **self.client()))
                await lake.check()
            yield lake

    @asynccontextmanager
    async def queue(self, stage: str) -> AsyncIterator[Queue]:
        """The queue that wakes a stage. Raises BadInput, SettingsError or AccessDenied if it does not answer."""
        name = f"{self.name}-{stage}"
        async with AsyncExitStack() as stack:
            with aws_errors(name):
                queue = await stack.enter_async_context(find_queue(name, **self.client()))
            yield queue
