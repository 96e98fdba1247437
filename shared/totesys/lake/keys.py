"""The keys of the lake's objects. Pure."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime

RUN_NUMBER = "run_number.json"
MANIFEST = "manifest.json"
EMPTY = "empty.json"
LOAD = "load.json"

RUNS = "runs/"
VERIFICATIONS = "verifications/"
REPLAYS = "replays/"
ALERTS = "alerts/"
QUARANTINE = "quarantine/"
KEYS = "keys/"

_QUARANTINE_KEY = re.compile(rf"{QUARANTINE}[^/]+/(?P<table>[^/]+)/run=(?P<run>[0-9]+)/part-(?P<part>[0-9]+)\.parquet")


def run_folder(run: int) -> str:
    """`run=00000042`: with a fixed width, so that keys sort as run numbers do."""
    return f"run={run:08d}"


def part_key(schema: str, table: str, run: int, part: int, suffix: str) -> str:
    """The key of a part: `{schema}/{table}/run=00000042/part-00000.csv`."""
    return f"{schema}/{table}/{run_folder(run)}/part-{part:05d}.{suffix}"


def quarantine_key(schema: str, table: str, run: int, part: int) -> str:
    """The key of a quarantine part."""
    return f"{QUARANTINE}{part_key(schema, table, run, part, 'parquet')}"


def ranges_key(schema: str, table: str, run: int, part: int, suffix: str) -> str:
    """The key of a part of key ranges."""
    return f"{KEYS}{part_key(schema, table, run, part, suffix)}"


def deleted_key(schema: str, table: str, run: int, part: int, suffix: str) -> str:
    """The key of a part with ranges of the keys that the source's log says are gone."""
    return ranges_key(schema, f"{table}/deleted", run, part, suffix)


def left_out_key(schema: str, table: str, run: int, part: int) -> str:
    """The key of a part with ranges of the keys that a build function leaves out."""
    return f"{KEYS}{part_key(schema, f'{table}/left_out', run, part, 'parquet')}"


def record_key(run: int, name: str) -> str:
    """The key of a run's record: `runs/run=00000042/manifest.json`."""
    return f"{RUNS}{run_folder(run)}/{name}"


def verification_key(time: datetime) -> str:
    """The key of a verification's record: `verifications/20261125T093000Z.json`, which sorts by time."""
    return f"{VERIFICATIONS}{time.astimezone(UTC):%Y%m%dT%H%M%SZ}.json"


def alerts_key(service: str) -> str:
    """The key of a service's record of open alerts: `alerts/load.json`."""
    return f"{ALERTS}{service}.json"


def replay_key(stage: str, name: str) -> str:
    """The key of a stage's record of a replay: `replays/load/c0ffee.json`."""
    return f"{REPLAYS}{stage}/{name}.json"


def failure_name(stage: str) -> str:
    """The name of the record of a stage's last failure on a run."""
    return f"{stage}.failed.json"


def after_run(run: int, prefix: str = RUNS) -> str:
    """The key below `prefix` that sorts after those of the run and before those of later runs."""
    return f"{prefix}{run_folder(run)}0"


def parse_record_key(key: str) -> tuple[int, str] | None:
    """The run and the record name in a key below `runs/`; None for any other key."""
    folder, _, name = key.removeprefix(RUNS).partition("/")
    number = folder.removeprefix("run=")
    ours = key.startswith(RUNS) and number.isascii() and number.isdigit() and name
    return (int(number), name) if ours else None


def parse_quarantine_key(key: str) -> tuple[str, int, int] | None:
    """The table, run and part number in the key of a quarantine part; None for any other key."""
    found = _QUARANTINE_KEY.fullmatch(key)
    return (found["table"], int(found["run"]), int(found["part"])) if found else None


# The most run numbers of one listing: a few pages of keys.
_WIDEST = 25_600


def intervals_back(upper: int, first: int, lower: int = 0) -> Iterator[tuple[int, int]]:
    """Intervals of run numbers, from `upper` down to `lower`, to list the newest runs first; a bucket lists ascending.

    An interval excludes its first number and includes its second. The first one covers `first` numbers and each next
    one twice as many, so that a long gap is soon crossed.
    """
    size = first
    while upper > lower:
        after = max(lower, upper - size)
        yield after, upper
        upper, size = after, min(2 * size, max(first, _WIDEST))
