"""The target of a DSN: its own parameters, then those of its service, then those of the environment."""

import os
import pwd
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path

from totesys.dsn.parameters import ENVIRONMENT, FORM, IAM, SECRET, DsnError, check, number
from totesys.dsn.password_file import password_in
from totesys.dsn.service_file import service
from totesys.dsn.syntax import parse

PORT = 5432
_SOCKET_FOLDERS = ("/var/run/postgresql", "/run/postgresql", "/tmp")  # noqa: S108 - Postgres's own default
_PORTS = range(1, 2**16)


@dataclass(frozen=True)
class Host:
    """One server of a DSN: `name` is its host name, `address` the address to connect to."""

    name: str
    address: str
    port: int

    @property
    def is_socket(self) -> bool:
        """Whether the address is the folder of a Unix socket."""
        return self.address.startswith("/")

    def __str__(self) -> str:
        return f"{self.name}:{self.port}"


@dataclass(frozen=True)
class DatabaseTarget:
    """A resolved DSN. `values` has every parameter as it is written, each checked by itself."""

    hosts: tuple[Host, ...]
    database: str
    user: str
    values: Mapping[str, str] = field(repr=False)
    shown: bool = True

    @property
    def redacted(self) -> str:
        """`host:port/database`, or `its DSN` if a part of that may belong to the password."""
        hosts = ",".join(map(str, self.hosts))
        return f"{hosts}/{self.database}" if self.shown else "its DSN"

    @property
    def uses_iam(self) -> bool:
        """Whether the password is an IAM token."""
        return self.values.get(IAM) == "true"

    def password(self, host: Host) -> str:
        """The password for one of the hosts, from the DSN or the password file; empty if there is none."""
        if given := self.values.get("password"):
            return given
        named = self.values.get("passfile")
        file = Path(named) if named else Path("~/.pgpass").expanduser()
        name = "localhost" if host.is_socket and host.name in _SOCKET_FOLDERS else host.name
        return password_in(file, name, host.port, self.database, self.user) or ""

    def session(self) -> dict[str, str]:
        """The session settings of the DSN."""
        name = self.values.get("application_name", self.values.get("fallback_application_name"))
        return {} if name is None else {"application_name": name}

    def number(self, name: str, allowed: range | None = None) -> int | None:
        """A parameter that is a whole number; None if it is missing. Raises DsnError."""
        value = self.values.get(name)
        if value is None:
            return None
        found = number(value, name)
        if allowed is not None and found not in allowed:
            raise DsnError(f"{name} is not between {allowed[0]} and {allowed[-1]}")
        return found


def resolve(dsn: str) -> DatabaseTarget:
    """The target of a DSN, with files and environment as they are now. Raises DsnError."""
    values = _values(dsn)
    user = values.get("user") or _account()
    database = values.get("dbname") or user
    # A password with a / ends there, and its rest looks like another part.
    shown = "@" not in "".join(values.get(name, "") for name in ("host", "hostaddr", "port", "dbname"))
    if values.get(IAM) == "true" and SECRET in values:
        raise DsnError("iam=true and secret are two ways to log in. Use one")
    hosts = _hosts(values)
    if values.get("requirepeer") and any(host.is_socket for host in hosts):
        raise DsnError("requirepeer is not supported: the driver does not check who runs the server. Remove it")
    return DatabaseTarget(hosts, database, user, values, shown)


def _values(dsn: str) -> dict[str, str]:
    values, environment = parse(dsn), os.environ
    named = {name: name for name in values}
    if (name := values.get("service", environment.get("PGSERVICE"))) is not None:
        added = service(name, values.get("servicefile", environment.get("PGSERVICEFILE")))
        named |= {one: f"{one} of the service {name}" for one in added if one not in values}
        values = added | values
    for one, variable in ENVIRONMENT.items():
        if variable and one not in values and variable in environment:
            values[one], named[one] = environment[variable], variable
    if "sslmode" not in values and environment.get("PGREQUIRESSL", "").startswith("1"):
        values["sslmode"], named["sslmode"] = "require", "PGREQUIRESSL"
    for one, value in values.items():
        # Python decodes bytes of the environment that are not text to such characters.
        if not value.isprintable() and any("\ud800" <= character <= "\udfff" for character in value):
            raise DsnError(f"{named[one]} is not UTF-8")
        check(one, value, named[one])
    return values


def _hosts(values: Mapping[str, str]) -> tuple[Host, ...]:
    names, addresses, ports = (values.get(name, "").split(",") for name in ("host", "hostaddr", "port"))
    if values.get("hostaddr"):
        if values.get("host") and len(names) != len(addresses):
            raise DsnError(f"it has {len(names)} hosts and {len(addresses)} addresses (hostaddr)")
        names = names if values.get("host") else [""] * len(addresses)
    else:
        addresses = [""] * len(names)
    if len(ports) == 1:
        ports *= len(names)
    if len(ports) != len(names):
        raise DsnError(f"it has {len(names)} hosts and {len(ports)} ports")
    return tuple(map(_host, names, addresses, ports))


def _host(name: str, address: str, port: str) -> Host:
    if address:
        try:
            ip_address(address.partition("%")[0])
        except ValueError:
            raise DsnError("hostaddr is not an IP address") from None
    if name.startswith("@"):
        raise DsnError("an abstract socket (a host that starts with @) is not supported: name the folder of a socket")
    found = name or address or _socket_folder(port)
    return Host(found, address or found, _port(port))


def _port(text: str) -> int:
    if not text:
        return PORT
    with suppress(DsnError):
        if (found := number(text, "port")) in _PORTS:
            return found
    raise DsnError(f"its port is not a number from 1 to 65535. {FORM}")


def _socket_folder(port: str) -> str:
    """The folder of the socket: one of the usual ones, depending on how Postgres was built."""
    found = (folder for folder in _SOCKET_FOLDERS if os.path.exists(f"{folder}/.s.PGSQL.{port or PORT}"))  # noqa: PTH110 - raises nothing
    return next(found, _SOCKET_FOLDERS[-1])


def _account() -> str:
    with suppress(KeyError):
        return pwd.getpwuid(os.geteuid()).pw_name
    raise DsnError("it names no user, and this process's account has no name")
