"""What is right and what is not. Pure: each takes facts and gives a finding."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from totesys.transactions import LONG_OPEN, OpenTransaction
from totesys_cli.doctor.finding import Finding, fail, ok, warn
from totesys_ingest.source_contract import ContractChanges

PYTHON = (3, 11)
# `BEGIN ATOMIC`, of which the warehouse's functions are made, came with 14.
POSTGRES = 14
TESTED = range(15, 19)
# What a clock may differ before freshness, which is told by two of them, says something else.
SKEW = timedelta(seconds=5)
# AWS refuses what is signed this long before or after its own time.
SIGNATURE = timedelta(minutes=15)

_CLOCK_REMEDY = "Have both machines keep time by NTP (`timedatectl set-ntp true`)."


def python_version(found: tuple[int, int]) -> Finding:
    """Whether this Python is new enough."""
    name = f"Python {found[0]}.{found[1]}"
    if found >= PYTHON:
        return ok("python version", f"{name}.")
    return fail("python version", f"{name} is too old.", f"Run it with Python {PYTHON[0]}.{PYTHON[1]} or newer.")


def postgres_version(side: str, number: int) -> Finding:
    """Whether a server is new enough; `number` is its `server_version_num`."""
    check, major = f"{side} version", number // 10_000
    if major < POSTGRES:
        remedy = f"Upgrade the server to {POSTGRES} or newer; 15 to 18 are tested."
        return fail(check, f"The {side} is Postgres {major}, which is too old.", remedy)
    if major not in TESTED:
        remedy = f"Tested are {TESTED[0]} to {TESTED[-1]}: look whether `totesys verify` is content."
        return warn(check, f"The {side} is Postgres {major}, which was never tried.", remedy)
    return ok(check, f"The {side} is Postgres {major}.")


def clock(of: str, ahead: timedelta, refused_after: timedelta | None = None) -> Finding:
    """Whether the clock of `of` and this machine's agree; `ahead` is by how much the former is in front."""
    check, skew = f"{of} clock", abs(ahead)
    if skew <= SKEW:
        return ok(
            check, f"The clock of the {of} differs from this machine's by less than {SKEW.total_seconds():.0f} s."
        )
    way = "ahead of" if ahead > timedelta(0) else "behind"
    sentence = f"The clock of the {of} is {skew.total_seconds():,.0f} s {way} this machine's."
    if refused_after and skew > refused_after:
        return fail(check, f"{sentence} AWS refuses every request.", _CLOCK_REMEDY)
    return warn(check, f"{sentence} What `totesys status` says of freshness is wrong by as much.", _CLOCK_REMEDY)


def open_transaction(found: OpenTransaction | None, at: datetime) -> Finding:
    """Whether somebody has perhaps forgotten a transaction; `at` is the source's time."""
    check = "source transactions"
    if found is None or found.age(at) <= LONG_OPEN:
        return ok(check, f"No transaction that has written is known to be open for {LONG_OPEN.seconds // 60} minutes.")
    minutes = found.age(at).total_seconds() / 60
    sentence = f"A transaction has been open for {minutes:,.0f} minutes: {found.holder}. Its changes come when it ends."
    return warn(check, sentence, "Ask who holds it to end it: docs/runbook.md, “Open transaction”.")


def connections(side: str, role: str, limit: int | None, wanted: int) -> Finding:
    """Whether a role may have as many connections as are wanted; without `limit`, it may have any number."""
    check = f"{side} connections"
    if limit is None or limit >= wanted:
        return ok(check, f"{role} may have the {wanted} connections that are needed.")
    what = f"{role} may have {limit} connections at once on the {side}, {wanted} are needed"
    sentence = f"{what}. Work that finds none free fails and is tried again."
    return warn(check, sentence, f"ALTER ROLE {role} CONNECTION LIMIT {wanted}, or that of the database.")


def contract(tables: int, found: ContractChanges, schema: str, role: str) -> Finding:
    """Whether the source's tables are the declared ones, and may be read; `schema` and `role` are SQL names."""
    check = "source tables"
    if not found.breaking and not found.non_breaking:
        return ok(check, f"All {tables} tables are as declared, and may be read.")
    if not found.breaking:
        said = "; ".join(f"{one.difference}, {one.next}" for one in found.non_breaking)
        return warn(check, f"Ingest goes on: {said}.", "Declare what the warehouse should have of it: docs/drift.md.")
    remedies = []
    if found.drift:
        remedies.append("Mend the source, or the declaration: docs/drift.md has each case.")
    if found.denied:
        grants = f"GRANT USAGE ON SCHEMA {schema} TO {role}; GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO {role}"
        remedies.append(f"As the owner: {grants}.")
    return fail(check, f"Ingest cannot start: {'; '.join(found.breaking)}.", " ".join(remedies))


def functions(side: str, role: str, barred: Sequence[str]) -> Finding:
    """Whether the role may call what locks and snapshots are made of."""
    check = f"{side} functions"
    if not barred:
        return ok(check, f"{role} may call the functions of locks and snapshots.")
    grants = "; ".join(f"GRANT EXECUTE ON FUNCTION {name} TO {role}" for name in barred)
    return fail(check, f"{role} may not call {', '.join(barred)} in the {side}.", f"{grants}.")


def dead_letters(counts: Mapping[str, int]) -> Finding:
    """Whether a message was given up."""
    given_up = {stage: count for stage, count in counts.items() if count}
    if not given_up:
        return ok("dead letters", "No message was given up.")
    each = ", ".join(f"{stage} {count:,}" for stage, count in given_up.items())
    remedy = "See why with `totesys dlq list`, mend it, and `totesys dlq redrive`."
    return warn("dead letters", f"{sum(given_up.values()):,} messages were given up: {each}.", remedy)


def variables(found: Mapping[str, str | None]) -> Finding:
    """Whether the variables are ones that somebody reads; each unknown one with the known one that it resembles."""
    if not found:
        return ok("variables", "Every TOTESYS_ variable that is set is one that services or command read.")
    named = ", ".join(f"{name} (is {like} meant?)" if like else name for name, like in found.items())
    return warn("variables", f"Nobody reads {named}.", "Correct the name, or unset it: docs/settings.md has them all.")
