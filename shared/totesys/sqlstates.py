"""The meaning of each SQLSTATE of Postgres: the one table that decides the kind of every database error."""

from collections.abc import Mapping
from enum import StrEnum


class Meaning(StrEnum):
    """What ends an error."""

    OUTAGE = "outage"  # time, or the server's operator: the same work succeeds later
    DENIED = "denied"  # a grant, or the right password
    MISCONFIGURED = "misconfigured"  # another DSN, or another setup of the server or its functions
    DRIFT = "drift"  # a change of the tables: they are not the declared ones
    DATA = "data"  # a change of the row: the database does not accept or return a value
    DEFECT = "defect"  # a change of this program: it expects no such error


OUTAGE, DENIED, MISCONFIGURED, DRIFT, DATA, DEFECT = Meaning


def _by_code(codes: Mapping[Meaning, str]) -> dict[str, Meaning]:
    return {code: meaning for meaning, several in codes.items() for code in several.split()}


# By class, the first two characters: see "PostgreSQL Error Codes" in the documentation of Postgres.
CLASSES = _by_code(
    {
        # Connection, rollback (deadlock, serialization), resources, object state, operator, system, old snapshot.
        OUTAGE: "08 40 53 55 57 58 72",
        # Grantor, role, authorization.
        DENIED: "0L 0P 28",
        # Features, triggers, routines, no such database or schema, configuration file, foreign data, PL/pgSQL. In class
        # 26, a pooler has given a prepared statement to another session.
        MISCONFIGURED: "09 0A 26 27 2F 38 39 3D 3F F0 HV P0",
        # Dependent objects.
        DRIFT: "2B",
        # Case, cardinality, data exceptions, constraints, check options, limits such as that of an index.
        DATA: "20 21 22 23 44 54",
        # Warnings, states of statements, cursors and transactions, syntax, internal errors.
        DEFECT: "01 02 03 0B 0F 0Z 10 24 25 2D 34 3B 42 XX",
    }
)
# The exceptions from their class.
STATES = _by_code(
    {
        # Read-only (a standby), timeouts of idle and open transactions, a foreign server that is down.
        OUTAGE: "25006 25P03 25P04 HV00N",
        # Insufficient privilege.
        DENIED: "42501",
        # A setting's value, an exhausted sequence, duplicate databases or statements, limits, fixed parameters.
        MISCONFIGURED: "22023 2200H 42P04 42P05 53400 55P02",
        # Undefined, duplicate, ambiguous or invalid columns, tables, types, functions, keys and collations.
        DRIFT: "42611 42701 42703 42704 42710 42723 42725 42804 42809 42830 42846 42883 428C9 42P01 42P06 42P07 42P10 "
        "42P13 42P16 42P17 42P21 42P22",
        # Statements that are too complex, with too many columns or arguments; a new enum label.
        DEFECT: "54001 54011 54023 55P04",
    }
)


def meaning_of(sqlstate: str | None) -> Meaning:
    """The meaning of an error with this SQLSTATE; a defect for none or an unknown one."""
    if sqlstate is None:
        return DEFECT
    return STATES.get(sqlstate) or CLASSES.get(sqlstate[:2], DEFECT)
