"""What each SQLSTATE of Postgres means here: the one table that gives every database error its kind."""

from enum import StrEnum


class Meaning(StrEnum):
    """Who can end an error, and how."""

    OUTAGE = "outage"  # time, or whoever runs the server: the same work succeeds later
    DENIED = "denied"  # whoever grants rights and passwords
    MISCONFIGURED = "misconfigured"  # whoever writes the DSN, or sets up the server and its functions
    DRIFT = "drift"  # whoever owns the tables: they are not the declared ones
    DATA = "data"  # whoever owns the row: the database does not take or give a value
    DEFECT = "defect"  # whoever maintains this program: nobody foresaw it


OUTAGE, DENIED, MISCONFIGURED, DRIFT, DATA, DEFECT = Meaning

# The first two characters, which are the class ("PostgreSQL Error Codes" in Postgres's documentation).
CLASSES = {
    "01": DEFECT,  # warning
    "02": DEFECT,  # no data
    "03": DEFECT,  # SQL statement not yet complete
    "08": OUTAGE,  # connection exception
    "09": MISCONFIGURED,  # triggered action exception
    "0A": MISCONFIGURED,  # feature not supported
    "0B": DEFECT,  # invalid transaction initiation
    "0F": DEFECT,  # locator exception
    "0L": DENIED,  # invalid grantor
    "0P": DENIED,  # invalid role specification
    "0Z": DEFECT,  # diagnostics exception
    "10": DEFECT,  # XQuery error
    "20": DATA,  # case not found
    "21": DATA,  # cardinality violation
    "22": DATA,  # data exception
    "23": DATA,  # integrity constraint violation
    "24": DEFECT,  # invalid cursor state
    "25": DEFECT,  # invalid transaction state
    "26": MISCONFIGURED,  # invalid SQL statement name: a pooler gives statements of one session to another
    "27": MISCONFIGURED,  # triggered data change violation
    "28": DENIED,  # invalid authorization specification
    "2B": DRIFT,  # dependent objects still exist
    "2D": DEFECT,  # invalid transaction termination
    "2F": MISCONFIGURED,  # SQL routine exception
    "34": DEFECT,  # invalid cursor name
    "38": MISCONFIGURED,  # external routine exception
    "39": MISCONFIGURED,  # external routine invocation exception
    "3B": DEFECT,  # savepoint exception
    "3D": MISCONFIGURED,  # no such database
    "3F": MISCONFIGURED,  # no such schema
    "40": OUTAGE,  # transaction rollback: deadlock, serialization failure
    "42": DEFECT,  # syntax error, or access rule violation
    "44": DATA,  # WITH CHECK OPTION violation
    "53": OUTAGE,  # insufficient resources: disk, memory, connections
    "54": DATA,  # program limit exceeded: a value too long for an index
    "55": OUTAGE,  # object not in prerequisite state: locked, or a database that takes no connections
    "57": OUTAGE,  # operator intervention: cancelled, stopped, starting
    "58": OUTAGE,  # system error
    "72": OUTAGE,  # snapshot too old
    "F0": MISCONFIGURED,  # configuration file error
    "HV": MISCONFIGURED,  # foreign data wrapper error
    "P0": MISCONFIGURED,  # PL/pgSQL error: a function or trigger of the database raises it
    "XX": DEFECT,  # internal error
}

# Those that mean something else than their class.
STATES = {
    "22023": MISCONFIGURED,  # invalid parameter value: of a setting
    "2200H": MISCONFIGURED,  # sequence exhausted
    "25006": OUTAGE,  # read-only: a standby, or a server that takes no writes
    "25P03": OUTAGE,  # idle in transaction for too long
    "25P04": OUTAGE,  # transaction timeout
    "42501": DENIED,  # insufficient privilege
    "42611": DRIFT,  # invalid column definition
    "42701": DRIFT,  # duplicate column
    "42703": DRIFT,  # undefined column
    "42704": DRIFT,  # undefined type or other object
    "42710": DRIFT,  # duplicate object
    "42723": DRIFT,  # duplicate function
    "42725": DRIFT,  # ambiguous function: one of the database's own is as good
    "42804": DRIFT,  # datatype mismatch
    "42809": DRIFT,  # wrong object type
    "42830": DRIFT,  # invalid foreign key
    "42846": DRIFT,  # cannot coerce
    "42883": DRIFT,  # undefined function or operator
    "428C9": DRIFT,  # generated always
    "42P01": DRIFT,  # undefined table
    "42P04": MISCONFIGURED,  # duplicate database
    "42P05": MISCONFIGURED,  # duplicate prepared statement: as class 26
    "42P06": DRIFT,  # duplicate schema
    "42P07": DRIFT,  # duplicate table
    "42P10": DRIFT,  # no unique index for ON CONFLICT
    "42P13": DRIFT,  # invalid function definition: another one has the name
    "42P16": DRIFT,  # invalid table definition: a view shows other columns
    "42P17": DRIFT,  # invalid object definition
    "42P21": DRIFT,  # collation mismatch
    "42P22": DRIFT,  # indeterminate collation
    "53400": MISCONFIGURED,  # configuration limit exceeded
    "54001": DEFECT,  # statement too complex
    "54011": DEFECT,  # too many columns
    "54023": DEFECT,  # too many arguments
    "55P02": MISCONFIGURED,  # a parameter that cannot be changed
    "55P04": DEFECT,  # unsafe use of a new enum label
    "HV00N": OUTAGE,  # a foreign server cannot be reached
}


def meaning_of(sqlstate: str | None) -> Meaning:
    """What an error with this SQLSTATE means. One that no release of Postgres gives, or none, is a defect."""
    if sqlstate is None:
        return DEFECT
    return STATES.get(sqlstate) or CLASSES.get(sqlstate[:2], DEFECT)
