"""`totesys verify --repair`: asks ingest for the rows that are wrong, until the warehouse equals the source."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import timedelta
from itertools import batched
from uuid import uuid4

from rich.console import Console

from totesys.events import ExtractWakeup
from totesys.postgres import connect
from totesys.schema import ETL, Model, load_model
from totesys.sql import ident, qualified
from totesys.table import WarehouseTable
from totesys.verify import Verification
from totesys_cli.databases import Databases
from totesys_cli.dead_letters.errors import aws_errors
from totesys_cli.dead_letters.queues import Place, sqs_client
from totesys_cli.errors import StageFailed
from totesys_cli.verify.command import verified

# A key has at most 20 characters, a message at most 256 KB.
KEYS_IN_A_MESSAGE = 5000
POLL_SECONDS = 1.0

Keys = Mapping[str, Sequence[int]]
