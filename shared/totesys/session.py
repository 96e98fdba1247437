"""The settings of every session of ours, whatever a server, a database or a role has set."""

from collections.abc import Mapping

from totesys.keepalive import SERVER_SETTINGS
from totesys.sql import literal

# Nothing may depend on how a server, a database or a role is set up. A connection's own settings win over theirs.
SESSION = {
    "application_name": "totesys",
    # What COPY and casts print, and how catalogs print names.
    "client_encoding": "UTF8",
    "DateStyle": "ISO, YMD",
    "IntervalStyle": "postgres",
    "TimeZone": "UTC",
    "bytea_output": "hex",
    "extra_float_digits": "1",
    "quote_all_identifiers": "off",
    # How statements are read. Functions and operators of Postgres go before others of the same name.
    "search_path": '"$user", public',
    "standard_conforming_strings": "on",
    "transform_null_equals": "off",
    # How transactions behave. A load waits for its lock and then has to see what was committed meanwhile.
    "default_transaction_deferrable": "off",
    "default_transaction_isolation": "read committed",
    "default_transaction_read_only": "off",
    "exit_on_error": "off",
    # Row-level security that would hide rows is an error: half a table must not pass for a whole one.
    "row_security": "off",
    # No statement of ours needs longer; in milliseconds. A session may be idle while S3 or another one is at work.
    "statement_timeout": "3600000",
    "lock_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
    "idle_session_timeout": "0",
    # What not every release knows.
    "transaction_timeout": "0",
    "restrict_nonsystem_relation_kind": "",
    **SERVER_SETTINGS,
}
# A server refuses a connection that begins with a setting it does not know. Whether it is read-only, a DSN asks first.
_LATER = {"transaction_timeout", "restrict_nonsystem_relation_kind", "default_transaction_read_only"}


def at_start(session: Mapping[str, str]) -> dict[str, str]:
    """What a server is told when a connection begins: nothing that a role has set then ends it before it is in use."""
    return {name: value for name, value in session.items() if name not in _LATER}


def statement(session: Mapping[str, str], encoding: str | None, process: int | None = None) -> str:
    """The statement that makes the settings, as far as the server knows them, and tells its process.

    With `process`, only if it is that one. `encoding` is the client_encoding of a DSN, which just has to be one. No
    function or operator of others is named, and nothing is a parameter: so far, both might mean something else.
    """
    first = {"client_encoding": encoding} if encoding and encoding != "auto" else {}
    values = ", ".join(f"({_text(name)}, {_text(value)})" for name, value in [*first.items(), *session.items()])
    there = "pg_catalog.current_setting(name, true) IS NOT NULL"
    ours = "" if process is None else f" AND pg_catalog.pg_backend_pid() OPERATOR(pg_catalog.=) ({process})"
    return f"""
        SELECT pg_catalog.pg_backend_pid(), pg_catalog.count(pg_catalog.set_config(name, value, false))
        FROM (VALUES {values}) AS wanted (name, value) WHERE {there}{ours}"""


def _text(value: str) -> str:
    # Whether a backslash is one depends on a setting, unless a text says it of itself.
    return "E" + literal(value.replace("\\", "\\\\"))
