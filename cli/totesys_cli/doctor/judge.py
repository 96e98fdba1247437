"""Judgement of facts. Pure: each function takes facts and returns a finding."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from totesys.transactions import LONG_OPEN, OpenTransaction
from totesys_cli.doctor.finding import Finding, fail, ok, warn
from totesys_ingest.source_contract import ContractChanges

PYTHON = (3, 11)
# Postgres 14 introduced `BEGIN ATOMIC`, which the warehouse's functions use.
POSTGRES = 14
TESTED = range(15, 19)
# A larger difference of two clocks distorts freshness.
SKEW = timedelta(seconds=5)
# AWS refuses signatures that are further from its own time.
SIGNATURE = timedelta(minutes=15)

_CLOCK_REMEDY = "Synchronise both clocks by NTP (`timedatectl set-ntp true`)."


def python_version(found: tuple[int, int]) -> Finding:
    """Whether this Python is new enough."""
    name = f"Python {found[0]}.{found[1]}"
    if found >= PYTHON:
        return ok("python version", f"{name}.")
    return fail("python version", f"{name} is too old.", f"Use Python {PYTHON[0]}.{PYTHON[1]} or newer.")


def postgres_version(side: str, number: int) -> Finding:
    """Whether a server is new enough; `number` is its `server_version_num`."""
    check, major = f"{side} version", number // 10_000
    if major < POSTGRES:
        remedy = f"Upgrade the server to {POSTGRES} or newer; {TESTED[0]} to {TESTED[-1]} are tested."
        return fail(check, f"The {side} is Postgres {major}, which is too old.", remedy)
    if major not in TESTED:
        remedy = f"Versions {TESTED[0]} to {TESTED[-1]} are tested. Check the result with `totesys verify`."
        return warn(check, f"The {side} is Postgres {major}, which is untested.", remedy)
    return ok(check, f"The {side} is Postgres {major}.")


def clock(of: str, ahead: timedelta, refused_after: timedelta | None = None) -> Finding:
    """Whether the clock of `of` agrees with this machine's; `ahead` is the difference."""
    check, skew = f"{of} clock", abs(ahead)
    if skew <= SKEW:
        limit = f"{SKEW.total_seconds():.0f} s"
        return ok(check, f"The clock of the {of} differs from this machine's by less than {limit}.")
    way = "ahead of" if ahead > timedelta(0) else "behind"
    sentence = f"The clock of the {of} is {skew.total_seconds():,.0f} s {way} this machine's."
    if refused_after and skew > refused_after:
        return fail(check, f"{sentence} AWS refuses every request.", _CLOCK_REMEDY)
    return warn(check, f"{sentence} The freshness in `totesys status` is wrong by as much.", _CLOCK_REMEDY)


def open_transaction(found: OpenTransaction | None, at: datetime) -> Finding:
    """Whether a transaction has been open for long; `at` is the source's time."""
    check = "source transactions"
    if found is None or found.age(at) <= LONG_OPEN:
        return ok(check, f"No writing transaction is known to be open for {LONG_OPEN.seconds // 60} minutes.")
    minutes = found.age(at).total_seconds() / 60
    sentence = (
        f"A transaction has been open for {minutes:,.0f} minutes: {found.holder}. Its changes arrive when it ends."
    )
    return warn(check, sentence, "Have its owner end it: docs/runbook.md, “Open transaction”.")


def connections(side: str, role: str, limit: int | None, wanted: int) -> Finding:
    """Whether a role may open `wanted` connections. A `limit` of None is no limit."""
    check = f"{side} connections"
    if limit is None or limit >= wanted:
        return ok(check, f"{role} may open the {wanted} connections that are used.")
    sentence = (
        f"Connections of {role} to the {side}: {limit} allowed, {wanted} used if available. With fewer, work is slower."
    )
    return warn(check, sentence, f"ALTER ROLE {role} CONNECTION LIMIT {wanted}, or raise that of the database.")


def contract(tables: int, found: ContractChanges, schema: str, role: str) -> Finding:
    """Whether the source's tables match the declarations and are readable; `schema` and `role` are SQL names."""
    check = "source tables"
    if not found.breaking and not found.non_breaking:
        return ok(check, f"All {tables} tables match the declarations and are readable.")
    if not found.breaking:
        differences = "; ".join(f"{one.difference}, {one.next}" for one in found.non_breaking)
        return warn(check, f"Ingest continues: {differences}.", "Declare what the warehouse needs: docs/drift.md.")
    remedies = []
    if found.drift:
        remedies.append("Correct the source or the declaration: docs/drift.md describes each case.")
    if found.denied:
        grants = f"GRANT USAGE ON SCHEMA {schema} TO {role}; GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO {role}"
        remedies.append(f"As the owner: {grants}.")
    return fail(check, f"Ingest cannot start: {'; '.join(found.breaking)}.", " ".join(remedies))


def functions(side: str, role: str, denied: Sequence[str]) -> Finding:
    """Whether the role may call the functions of locks and snapshots."""
    check = f"{side} functions"
    if not denied:
        return ok(check, f"{role} may call the functions of locks and snapshots.")
    grants = "; ".join(f"GRANT EXECUTE ON FUNCTION {name} TO {role}" for name in denied)
    return fail(check, f"{role} may not call {', '.join(denied)} in the {side}.", f"{grants}.")


def dead_letters(counts: Mapping[str, int]) -> Finding:
    """Whether there are dead letters."""
    each = ", ".join(f"{stage} {count:,}" for stage, count in counts.items() if count)
    if not each:
        return ok("dead letters", "There are none.")
    remedy = "List the reasons with `totesys dlq list`, fix the cause, then `totesys dlq redrive`."
    return warn("dead letters", f"There are {sum(counts.values()):,} dead letters: {each}.", remedy)


def variables(unread: Mapping[str, str | None]) -> Finding:
    """Whether anything reads each variable; `unread` has the known one that each resembles."""
    if not unread:
        return ok("variables", "Services or command read every TOTESYS_ variable that is set.")
    named = ", ".join(f"{name} (did you mean {like}?)" if like else name for name, like in unread.items())
    return warn("variables", f"Nothing reads {named}.", "Correct the name, or unset it: docs/settings.md has them all.")
