"""Opening a connection to the first host of a DSN that serves it, with the driver's arguments for what the DSN says."""

import random
from collections.abc import Mapping

import asyncpg
from asyncpg.connect_utils import SessionAttribute

from totesys.dsn.target import Host, Target
from totesys.sql import literal
from totesys.tls import tls_arguments, tls_fault
from totesys.watched import Keepalive, Watched

CONNECT_SECONDS = 10.0
# What the system takes for keepalives.
_SECONDS, _COUNTS = range(1, 2**15), range(1, 2**7)
# A server refuses a connection that names a setting it does not know; whether it is read-only, the DSN may ask first.
_LATER = {"transaction_timeout", "restrict_nonsystem_relation_kind", "default_transaction_read_only"}
# A pooler takes few settings when a connection begins. Those that did not are asked no more.
_takes_no_settings: set[Host] = set()


async def open_connection(
    target: Target, user: str, password: str | None, session: Mapping[str, str], command_timeout: float
) -> Watched:
    """A connection with the settings of `session`; without `password`, with the DSN's own.

    A host that does not answer, or is not what the DSN asks for, is passed over for the next. Raises DsnError, OSError
    and the driver's errors.
    """
    keepalive = _keepalive(target)
    wanted = target.values.get("target_session_attrs", "any")
    hosts = list(target.hosts)
    if target.values.get("load_balance_hosts") == "random":
        random.shuffle(hosts)
    last: Exception | None = None
    for attribute in ("standby", "any") if wanted == "prefer-standby" else (wanted,):
        for host in hosts:
            secret = target.password(host) if password is None else password
            try:
                connection = await _to(host, target, user, secret, session, command_timeout, attribute)
            except (OSError, asyncpg.CannotConnectNowError, asyncpg.TargetServerAttributeNotMatched) as error:
                if tls_fault(error):
                    raise
                last = error
            else:
                connection.keep_alive(keepalive)
                await _prepare(connection, session, target)
                return connection
    assert last is not None
    raise last


async def _prepare(connection: Watched, session: Mapping[str, str], target: Target) -> None:
    statement = _settings_statement(session, target.values.get("client_encoding"))
    try:
        await connection.fetchrow(statement, timeout=CONNECT_SECONDS)
    except BaseException:
        connection.terminate()
        raise


async def _to(
    host: Host,
    target: Target,
    user: str,
    password: str,
    session: Mapping[str, str],
    command_timeout: float,
    attribute: str,
) -> Watched:
    options = {"options": target.values["options"]} if target.values.get("options") else {}

    async def connected(settings: dict[str, str]) -> Watched:
        return await asyncpg.connect(
            **tls_arguments(target, host),
            host=host.address,
            port=host.port,
            user=user,
            password=password,
            database=target.database,
            server_settings=settings | options,
            target_session_attrs=SessionAttribute(attribute),
            timeout=_connect_seconds(target),
            command_timeout=command_timeout,
            connection_class=Watched,
        )

    if host not in _takes_no_settings:
        try:
            return await connected(_at_start(session))
        except (asyncpg.ProtocolViolationError, asyncpg.FeatureNotSupportedError) as error:
            if "startup parameter" not in str(error):
                raise
            _takes_no_settings.add(host)
    return await connected({"application_name": session["application_name"]})


def _at_start(session: Mapping[str, str]) -> dict[str, str]:
    """What a server is told when a connection begins: nothing that a role has set then ends it before it is in use."""
    return {name: value for name, value in session.items() if name not in _LATER}


def _settings_statement(session: Mapping[str, str], asked: str | None) -> str:
    """The statement that gives a connection its settings, as far as its server knows them, and tells its process.

    It names no function or operator of others, and takes no parameter: both might mean something else so far. `asked`
    is the client_encoding of the DSN, which only has to be one.
    """
    first = {"client_encoding": asked} if asked and asked != "auto" else {}
    pairs = [*first.items(), *session.items()]
    values = ", ".join(f"({_text(name)}, {_text(value)})" for name, value in pairs)
    return f"""
        SELECT pg_catalog.pg_backend_pid(), pg_catalog.count(pg_catalog.set_config(name, value, false))
        FROM (VALUES {values}) AS wanted (name, value) WHERE pg_catalog.current_setting(name, true) IS NOT NULL"""


def _text(value: str) -> str:
    # Whether a backslash is one depends on a setting, unless a text says it of itself.
    return "E" + literal(value.replace("\\", "\\\\"))


def _keepalive(target: Target) -> Keepalive:
    """What the DSN says of keepalives, and ours for the rest. Raises DsnError."""
    if target.number("keepalives") == 0:
        return Keepalive(on=False)
    usual = Keepalive()
    timeout = target.number("tcp_user_timeout")
    return Keepalive(
        idle=target.number("keepalives_idle", _SECONDS) or usual.idle,
        interval=target.number("keepalives_interval", _SECONDS) or usual.interval,
        count=target.number("keepalives_count", _COUNTS),
        user_timeout=usual.user_timeout if timeout is None else max(timeout, 0),
    )


def _connect_seconds(target: Target) -> float:
    """How long a host may take to answer; no time at all, which libpq takes for "for ever", is the usual one."""
    asked = target.number("connect_timeout")
    return float(asked) if asked is not None and asked > 0 else CONNECT_SECONDS
