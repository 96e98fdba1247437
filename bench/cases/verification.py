"""How long a comparison of the warehouse with its source takes, beside Postgres alone with the same rows."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path

from bench.contenders import COUNT, PRINT, TOTESYS
from bench.differences import PLANTED, planted
from bench.measurement import Case
from bench.peers import both_sides
from bench.peers.process import Usage, run
from bench.stand import WrongResult
from bench.trial import MB, Trial
from totesys_cli.command_errors import FAILED
from totesys_cli.options import Databases

COMMAND = Path(sys.executable).with_name("totesys")
BOTH_SIDES, EQUAL, DIFFERENT = "both sides", "all equal", "a wrong, a missing and an extra row"
NOTHING = dict.fromkeys(PLANTED, 0)


async def measure(trial: Trial, databases: Databases) -> None:
    """Verify an equal warehouse, and the same with a few differences, in turns with what bounds it.

    The warehouse is at the end as it was. Raises WrongResult if the command finds anything else than there is, and
    CommandFailed.
    """
    sides = databases.source, databases.warehouse
    for number in range(1, trial.size.rounds + 1):
        for contender, bound in ((COUNT, both_sides.count), (PRINT, both_sides.print_rows)):
            trial.say(f"verify: {contender}, round {number}")
            _record(trial, contender, BOTH_SIDES, number, seconds=await bound(*sides))
        trial.say(f"verify: {EQUAL}, round {number}")
        _record_use(trial, EQUAL, number, await _verify(databases, NOTHING))
        trial.say(f"verify: {DIFFERENT}, round {number}")
        async with planted(databases.warehouse):
            _record_use(trial, DIFFERENT, number, await _verify(databases, PLANTED))


async def _verify(databases: Databases, expected: Mapping[str, int]) -> Usage:
    """What `totesys verify` took, as a process of its own. Raises WrongResult if it does not find what is expected."""
    exit_code = FAILED if any(expected.values()) else 0
    usage = await run([COMMAND, "verify", "--json"], environment=databases.environment(), exit_code=exit_code)
    tables = json.loads(usage.output)["tables"]
    found = {name: sum(table[name] for table in tables) for name in expected}
    if found != expected:
        raise WrongResult(f"The verification found {found} where there is {expected}.")
    return usage


def _record_use(trial: Trial, subject: str, number: int, usage: Usage) -> None:
    _record(trial, TOTESYS, subject, number, seconds=usage.seconds, peak_bytes=usage.peak_bytes)


def _record(
    trial: Trial, contender: str, subject: str, number: int, *, seconds: float, peak_bytes: int | None = None
) -> None:
    figures = {"seconds": seconds} | ({} if peak_bytes is None else {"peak MB": peak_bytes / MB})
    for quantity, value in figures.items():
        trial.record(
            Case.VERIFY,
            subject,
            quantity,
            value,
            contender=contender,
            number=number,
            rows=trial.stand.rows,
            verified=True if subject == EQUAL else None,
        )
