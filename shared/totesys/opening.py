"""Opening a connection to the first suitable host of a DSN, with the driver's arguments for the DSN's parameters."""

import random
from collections.abc import Mapping
from dataclasses import dataclass, field

import asyncpg
from asyncpg.connect_utils import SessionAttribute

from totesys.aws_logins import iam_token
from totesys.dsn.parameters import REGION
from totesys.dsn.resolve import DatabaseTarget, Host
from totesys.keepalive import Keepalive, KeepaliveConnection
from totesys.pooler import FOREIGN_STATEMENTS, SharedSession, check_kept, is_pooled
from totesys.session import at_start, statement
from totesys.tls import tls_arguments, tls_fault

CONNECT_SECONDS = 10.0
# What the operating system accepts for keepalives.
_SECONDS, _COUNTS = range(1, 2**15), range(1, 2**7)
# Poolers that refuse most settings at the start of a connection, and poolers that keep a session per connection.
_refuse_settings: set[Host] = set()
_keep_sessions: set[tuple[Host, str, str]] = set()


@dataclass(frozen=True)
class Opening:
    """How to open a connection. Without `password`, the DSN has the login for each host."""

    target: DatabaseTarget
    user: str
    password: str | None = field(repr=False)
    session: Mapping[str, str]
    command_timeout: float

    async def connection(self) -> KeepaliveConnection:
        """A connection to the first host that answers and has the wanted attributes, with the settings in `session`.

        Raises DsnError, SharedSession, OSError and the driver's errors.
        """
        keepalive = _keepalive(self.target)
        connection, host = await self._first()
        try:
            connection.keep_alive(keepalive)
            await self._prepare(connection, host)
        except BaseException:
            connection.terminate()
            raise
        return connection

    async def _first(self) -> tuple[KeepaliveConnection, Host]:
        wanted = self.target.values.get("target_session_attrs", "any")
        hosts = list(self.target.hosts)
        if self.target.values.get("load_balance_hosts") == "random":
            random.shuffle(hosts)
        last: Exception | None = None
        for attribute in ("standby", "any") if wanted == "prefer-standby" else (wanted,):
            for host in hosts:
                try:
                    return await self._to(host, SessionAttribute(attribute)), host
                except (OSError, asyncpg.CannotConnectNowError, asyncpg.TargetServerAttributeNotMatched) as error:
                    if tls_fault(error):
                        raise
                    last = error
        assert last is not None
        raise last

    async def _to(self, host: Host, attribute: SessionAttribute = SessionAttribute.any) -> KeepaliveConnection:
        options = self.target.values.get("options")
        asked = {"options": options} if options else {}
        if host not in _refuse_settings:
            try:
                return await self._connected(host, attribute, at_start(self.session) | asked)
            except (asyncpg.ProtocolViolationError, asyncpg.FeatureNotSupportedError) as error:
                if "startup parameter" not in str(error):
                    raise
                _refuse_settings.add(host)
        name = {"application_name": self.session["application_name"]}
        return await self._connected(host, attribute, name | asked)

    async def _connected(
        self, host: Host, attribute: SessionAttribute, settings: dict[str, str]
    ) -> KeepaliveConnection:
        return await asyncpg.connect(
            **tls_arguments(self.target, host),
            host=host.address,
            port=host.port,
            user=self.user,
            password=await self._password(host),
            database=self.target.database,
            server_settings=settings,
            target_session_attrs=attribute,
            timeout=_connect_seconds(self.target),
            command_timeout=self.command_timeout,
            connection_class=KeepaliveConnection,
        )

    async def _password(self, host: Host) -> str:
        if self.password is not None:
            return self.password
        if self.target.uses_iam:
            return await iam_token(host, self.user, self.target.values.get(REGION))
        return self.target.password(host)

    async def _prepare(self, connection: KeepaliveConnection, host: Host) -> None:
        """Apply the settings, through a pooler only if it keeps sessions: else other clients would get them, too."""
        if is_pooled(connection, await self._set(connection, only_for=connection.get_server_pid())):
            pooled = (host, self.target.database, self.user)
            if pooled not in _keep_sessions:
                await check_kept(connection, lambda: self._to(host))
                _keep_sessions.add(pooled)
            await self._set(connection)

    async def _set(self, connection: KeepaliveConnection, only_for: int | None = None) -> int:
        """Apply the settings. Returns the id of the server process of the connection."""
        applied = statement(self.session, self.target.values.get("client_encoding"), only_for)
        try:
            return int(await connection.fetchval(applied, timeout=CONNECT_SECONDS))
        except FOREIGN_STATEMENTS:
            raise SharedSession from None


def _keepalive(target: DatabaseTarget) -> Keepalive:
    """The keepalives of the DSN, with our defaults. Raises DsnError."""
    if target.number("keepalives") == 0:
        return Keepalive(on=False)
    default = Keepalive()
    timeout = target.number("tcp_user_timeout")
    return Keepalive(
        idle=target.number("keepalives_idle", _SECONDS) or default.idle,
        interval=target.number("keepalives_interval", _SECONDS) or default.interval,
        count=target.number("keepalives_count", _COUNTS),
        user_timeout=default.user_timeout if timeout is None else max(timeout, 0),
    )


def _connect_seconds(target: DatabaseTarget) -> float:
    """How long a host may take to answer. Zero, which libpq reads as no limit, means the default."""
    seconds = target.number("connect_timeout")
    return float(seconds) if seconds is not None and seconds > 0 else CONNECT_SECONDS
