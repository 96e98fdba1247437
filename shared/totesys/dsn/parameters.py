"""Every connection parameter of libpq (Postgres 18), and which values are supported: the one table of them. Pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

FORM = "Write postgresql://user:password@host:port/database, with %2F for a / in the password"


class DsnError(ValueError):
    """A DSN can't be used. The message never quotes what may be part of a password."""


# The parameters that libpq also reads from the environment.
_IN_ENVIRONMENT = """
    service servicefile user password passfile channel_binding host hostaddr port client_encoding options
    sslmode sslnegotiation sslcompression sslcert sslkey sslcertmode sslrootcert sslcrl sslcrldir sslsni
    ssl_min_protocol_version ssl_max_protocol_version requirepeer require_auth min_protocol_version max_protocol_version
    gssencmode krbsrvname gsslib gssdelegation target_session_attrs load_balance_hosts
"""
_ONLY_IN_A_DSN = """
    fallback_application_name keepalives keepalives_idle keepalives_interval keepalives_count tcp_user_timeout
    sslpassword sslkeylogfile replication scram_client_key scram_server_key
    oauth_issuer oauth_client_id oauth_client_secret oauth_scope
"""
# The environment variable that libpq reads if the DSN lacks the parameter. psql accepts `servicefile` in a DSN from
# Postgres 19 on.
ENVIRONMENT: Mapping[str, str | None] = {
    **{name: f"PG{name.replace('_', '').upper()}" for name in _IN_ENVIRONMENT.split()},
    "connect_timeout": "PGCONNECT_TIMEOUT",
    "dbname": "PGDATABASE",
    "application_name": "PGAPPNAME",
    **dict.fromkeys(_ONLY_IN_A_DSN.split()),
}
# The white space of libpq.
BLANKS = " \t\n\v\f\r"
# Parameters of our own: see totesys.aws_logins.
SECRET, IAM, REGION = "secret", "iam", "region"
KNOWN = {*ENVIRONMENT, SECRET, IAM, REGION}

SSL_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
_TLS_VERSIONS = ("", "tlsv1", "tlsv1.1", "tlsv1.2", "tlsv1.3")
_PROTOCOLS = ("3.0", "3.2", "latest")
_CHOICES: Mapping[str, tuple[str, ...]] = {
    "sslmode": SSL_MODES,
    "sslnegotiation": ("postgres", "direct"),
    "sslcertmode": ("disable", "allow", "require"),
    "channel_binding": ("disable", "prefer", "require"),
    "gssencmode": ("disable", "prefer", "require"),
    "target_session_attrs": ("any", "read-write", "read-only", "primary", "standby", "prefer-standby"),
    "load_balance_hosts": ("disable", "random"),
    "min_protocol_version": _PROTOCOLS,
    "max_protocol_version": _PROTOCOLS,
    IAM: ("true", "false"),
}
_INTEGER = re.compile(r"\s*([+-]?\d+)\s*", re.ASCII)
_SMALLEST, _LARGEST = -(2**31), 2**31 - 1


@dataclass(frozen=True)
class _Refusal:
    """Values that the driver does not support, and what to do instead."""

    values: str
    why: str


# Supported by psql, but not here. Ignoring them would be worse.
_REFUSED = {
    "channel_binding": _Refusal(
        "require", "the driver has no channel binding. Remove it, and use sslmode=verify-full to verify the server"
    ),
    "gssencmode": _Refusal("require", "the driver has no GSSAPI encryption. Remove it, and use TLS (sslmode)"),
    "sslcertmode": _Refusal(
        "require",
        "the driver can't tell whether the server requested the certificate. Remove it: sslcert is sent anyway",
    ),
    "require_auth": _Refusal(".*", "the driver uses the method that the server requests. Remove it"),
    "min_protocol_version": _Refusal("3.2|latest", "the driver speaks version 3.0 of the protocol. Remove it"),
    "replication": _Refusal("(?!(f|fa|fal|fals|false|of|off|n|no|0)?$).*", "nothing here replicates. Remove it"),
    "scram_client_key": _Refusal(".*", "the driver supports only passwords. Use the password"),
    "scram_server_key": _Refusal(".*", "the driver supports only passwords. Use the password"),
}


def check(name: str, value: str, named: str) -> None:
    """Raise DsnError if a value is invalid or not supported. The error calls the parameter `named`."""
    if name in _CHOICES and value not in _CHOICES[name]:
        raise DsnError(f"{named} is not one of {', '.join(_CHOICES[name])}")
    if name.startswith("ssl_m") and value.lower() not in _TLS_VERSIONS:
        raise DsnError(f"{named} is not one of TLSv1, TLSv1.1, TLSv1.2, TLSv1.3")
    refusal = _REFUSED.get(name)
    if refusal and re.fullmatch(refusal.values, value.lower(), re.DOTALL):
        shown = f"={value}" if name in _CHOICES else ""
        raise DsnError(f"{named}{shown} is not supported: {refusal.why}")


def number(value: str, named: str) -> int:
    """A whole number, as libpq reads it. Raises DsnError."""
    found = _INTEGER.fullmatch(value)
    if found is None or not _SMALLEST <= int(found[1][:12]) <= _LARGEST:
        raise DsnError(f"{named} is not a whole number")
    return int(found[1])
