"""The time of a comparison of the warehouse with its source, beside Postgres alone with the same rows."""

import json
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from bench.bench_server import WrongResult
from bench.measurement import BOTH_SIDES, COUNT, DIFFERENT, EQUAL, MB, PRINT, TOTESYS, Case
from bench.peers import postgres_alone
from bench.peers.measured_command import Usage, run
from bench.peers.postgres_alone import SCHEMA
from bench.trial import Trial
from totesys.connection import connect
from totesys.model.payments import FACT_PAYMENT
from totesys.sql import column_list, ident, qualified
from totesys_cli.command_errors import FAILED
from totesys_cli.options import Databases

COMMAND = Path(sys.executable).with_name("totesys")
# The differences that are planted, one row each, as a verification counts them.
PLANTED = {"differing": 1, "missing": 1, "extra": 1}
NOTHING = dict.fromkeys(PLANTED, 0)

_FACT = qualified(SCHEMA, FACT_PAYMENT.name)
_KEY, _ID = ident(FACT_PAYMENT.only_key), ident(FACT_PAYMENT.record_id)
_OTHERS = column_list([name for name in FACT_PAYMENT.column_names if name != FACT_PAYMENT.only_key])
# No run writes this id, so verification cannot attribute the extra row to a later deletion in the source.
_EXTRA_ID = 0


async def measure(trial: Trial, databases: Databases) -> None:
    """Verify an equal warehouse, and the same with a few differences, in turn with its bounds.

    The warehouse ends as it was. Raises WrongResult if the command finds other differences, and CommandFailed.
    """
    sides = databases.source, databases.warehouse
    for number in range(1, trial.size.rounds + 1):
        for contender, bound in ((COUNT, postgres_alone.count), (PRINT, postgres_alone.print_rows)):
            trial.say(f"verify: {contender}, round {number}")
            _record(trial, contender, BOTH_SIDES, number, {"seconds": await bound(*sides)})
        trial.say(f"verify: {EQUAL}, round {number}")
        _record(trial, TOTESYS, EQUAL, number, await _verify(databases, NOTHING))
        trial.say(f"verify: {DIFFERENT}, round {number}")
        async with planted(databases.warehouse):
            _record(trial, TOTESYS, DIFFERENT, number, await _verify(databases, PLANTED))


async def _verify(databases: Databases, expected: Mapping[str, int]) -> Mapping[str, float]:
    """The figures of `totesys verify` as a process. Raises WrongResult if it does not find what is expected."""
    exit_code = FAILED if any(expected.values()) else 0
    usage: Usage = await run([COMMAND, "verify", "--json"], environment=databases.environment(), exit_code=exit_code)
    tables = json.loads(usage.output)["tables"]
    found = {name: sum(table[name] for table in tables) for name in expected}
    if found != expected:
        raise WrongResult(f"The verification found {found} instead of {expected}.")
    return {"seconds": usage.seconds, "peak MB": usage.peak_bytes / MB}


def _record(trial: Trial, contender: str, subject: str, number: int, figures: Mapping[str, float]) -> None:
    verified = True if subject == EQUAL else None
    more: dict[str, Any] = {"contender": contender, "round": number, "rows": trial.server.rows, "verified": verified}
    for quantity, value in figures.items():
        trial.record(Case.VERIFY, subject, quantity, value, **more)


@asynccontextmanager
async def planted(warehouse: str) -> AsyncIterator[None]:
    """Plant a wrong, a missing and an extra payment, far apart, and remove them at the end."""
    async with connect("The warehouse", warehouse) as connection:
        last = await connection.fetchval(f"SELECT max({_KEY}) FROM {_FACT}")
        wrong, missing, extra = last // 3, last * 2 // 3, last + 1
        await connection.execute(
            f"CREATE TEMPORARY TABLE kept AS SELECT * FROM {_FACT} WHERE {_KEY} IN ({wrong}, {missing})"
        )
        async with connection.transaction():
            await connection.execute(f"UPDATE {_FACT} SET paid = NOT paid WHERE {_KEY} = $1", wrong)
            await connection.execute(f"DELETE FROM {_FACT} WHERE {_KEY} = $1", missing)
            await connection.execute(
                f"INSERT INTO {_FACT} ({_ID}, {_KEY}, {_OTHERS}) OVERRIDING SYSTEM VALUE "
                f"SELECT {_EXTRA_ID}, $2, {_OTHERS} FROM {_FACT} WHERE {_KEY} = $1",
                last,
                extra,
            )
        try:
            yield
        finally:
            async with connection.transaction():
                await connection.execute(f"DELETE FROM {_FACT} WHERE {_KEY} = ANY ($1)", [wrong, missing, extra])
                await connection.execute(f"INSERT INTO {_FACT} OVERRIDING SYSTEM VALUE SELECT * FROM kept")
