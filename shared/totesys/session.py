"""The settings of every session, which override those of the server, the database and the role."""

from collections.abc import Mapping

from totesys.keepalive import SERVER_SETTINGS
from totesys.sql import literal

SESSION = {
    "application_name": "totesys",
    # The output of COPY, casts and catalogs.
    "client_encoding": "UTF8",
    "DateStyle": "ISO, YMD",
    "IntervalStyle": "postgres",
    "TimeZone": "UTC",
    "bytea_output": "hex",
    "extra_float_digits": "1",
    "quote_all_identifiers": "off",
    # The reading of statements. Functions and operators of Postgres precede others of the same name.
    "search_path": '"$user", public',
    "standard_conforming_strings": "on",
    "transform_null_equals": "off",
    # Transactions. A load that has waited for its lock must see what was committed meanwhile.
    "default_transaction_deferrable": "off",
    "default_transaction_isolation": "read committed",
    "default_transaction_read_only": "off",
    "exit_on_error": "off",
    # Row-level security that hides rows is an error: half a table must not pass for a whole one.
    "row_security": "off",
    # Timeouts in milliseconds. No statement takes an hour. A session may be idle while S3 or another session works.
    "statement_timeout": "3600000",
    "lock_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
    "idle_session_timeout": "0",
    # Not known to every release.
    "transaction_timeout": "0",
    "restrict_nonsystem_relation_kind": "",
    **SERVER_SETTINGS,
}
# Not sent at the start: a server refuses unknown settings, and target_session_attrs reads whether it is read-only.
_LATER = {"transaction_timeout", "restrict_nonsystem_relation_kind", "default_transaction_read_only"}


def at_start(session: Mapping[str, str]) -> dict[str, str]:
    """The settings to send at the start of a connection: a role's timeouts could end it before the others are set."""
    return {name: value for name, value in session.items() if name not in _LATER}


def statement(session: Mapping[str, str], encoding: str | None, process: int | None = None) -> str:
    """The statement that applies the settings that the server knows, and returns the id of its process.

    With `process`, it applies them only in that one. `encoding` is the client_encoding of a DSN, which is only checked.
    Every function and operator is qualified and nothing is a parameter, since the session isn't safe yet.
    """
    first = {"client_encoding": encoding} if encoding and encoding != "auto" else {}
    values = ", ".join(f"({_text(name)}, {_text(value)})" for name, value in [*first.items(), *session.items()])
    there = "pg_catalog.current_setting(name, true) IS NOT NULL"
    ours = "" if process is None else f" AND pg_catalog.pg_backend_pid() OPERATOR(pg_catalog.=) ({process})"
    return f"""
        SELECT pg_catalog.pg_backend_pid(), pg_catalog.count(pg_catalog.set_config(name, value, false))
        FROM (VALUES {values}) AS wanted (name, value) WHERE {there}{ours}"""


def _text(value: str) -> str:
    # The meaning of a backslash depends on a setting, except in an E string.
    return "E" + literal(value.replace("\\", "\\\\"))
