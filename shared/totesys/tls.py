"""TLS to a database: the driver's arguments for the TLS parameters of a DSN."""

import os
import ssl
import stat
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, TypedDict
from urllib.parse import urlencode

from totesys.dsn.parameters import DsnError
from totesys.dsn.resolve import DatabaseTarget, Host

# The certificate authorities of RDS, which no system trusts by default. For their origin see docs/connecting.md.
RDS_BUNDLE = Path(__file__).with_name("rds-global-bundle.pem")
_RDS_HOSTS = (".rds.amazonaws.com", ".rds.amazonaws.com.cn")
# The TLS parameters of libpq that name a file.
_FILES = ("sslrootcert", "sslcrl", "sslcert", "sslkey")
_SYSTEM = "system"
_OPPORTUNISTIC = ("allow", "prefer")
_VERIFYING = ("verify-ca", "verify-full")
# The parameters that the driver's own parser accepts for these two modes.
_OF_THE_DRIVER = ("sslcert", "sslkey", "sslpassword")
_VERSIONS = {version.name.lower().replace("_", "."): version for version in ssl.TLSVersion if version > 0}
_ALPN = "postgresql"
# The other side closed the connection during the handshake: not a TLS error.
_BROKEN_OFF = (ssl.SSLEOFError, ssl.SSLZeroReturnError, ssl.SSLSyscallError)


class _Context(ssl.SSLContext):
    """A context with the server's name of its own: the driver would use the address that it connects to."""

    server_name: str | None = None

    def wrap_bio(
        self,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        server_side: bool = False,
        server_hostname: str | bytes | None = None,
        session: ssl.SSLSession | None = None,
    ) -> ssl.SSLObject:
        return super().wrap_bio(incoming, outgoing, server_side, self.server_name, session)


class TlsArguments(TypedDict):
    """The driver's TLS arguments: a DSN for its own parser, or a context."""

    dsn: str | None
    ssl: ssl.SSLContext | Literal[False] | None
    direct_tls: bool


def mode_of(target: DatabaseTarget) -> str:
    """The sslmode. By default it is verify-full with the system's authorities or IAM, else prefer."""
    values = target.values
    strict = values.get("sslrootcert") == _SYSTEM or target.uses_iam
    return values.get("sslmode") or ("verify-full" if strict else "prefer")


def tls_arguments(target: DatabaseTarget, host: Host) -> TlsArguments:
    """The driver's TLS arguments for a host. Raises DsnError, or OSError for the content of a file."""
    mode, values = mode_of(target), target.values
    _check(target, mode)
    if host.is_socket or mode == "disable":
        return TlsArguments(dsn=None, ssl=False, direct_tls=False)
    if mode in _OPPORTUNISTIC:
        given = {name: values[name] for name in _OF_THE_DRIVER if values.get(name)}
        for name in ("sslcert", "sslkey"):
            if name in given and not os.path.exists(given[name]):  # noqa: PTH110 - raises nothing
                del given[name]
        parameters = urlencode({"sslmode": mode, **given, **_versions_of_the_driver(values)})
        return TlsArguments(dsn=f"postgresql://?{parameters}", ssl=None, direct_tls=False)
    direct = values.get("sslnegotiation") == "direct"
    return TlsArguments(dsn=None, ssl=_context(target, host, mode), direct_tls=direct)


def _versions_of_the_driver(values: Mapping[str, str]) -> dict[str, str]:
    """The limits of the TLS version for the driver's parser, without versions that OpenSSL no longer enables."""
    limits = {name: _version(values, name) for name in ("ssl_min_protocol_version", "ssl_max_protocol_version")}
    return {name: at.name.replace("_", ".") for name, at in limits.items() if at and at >= ssl.TLSVersion.TLSv1_2}


def _check(target: DatabaseTarget, mode: str) -> None:
    values = target.values
    if values.get("sslrootcert") == _SYSTEM and mode != "verify-full":
        raise DsnError(
            "sslrootcert=system needs sslmode=verify-full: anybody can have a certificate of a public authority"
        )
    if values.get("sslnegotiation") == "direct" and mode in ("disable", *_OPPORTUNISTIC):
        raise DsnError("sslnegotiation=direct needs sslmode=require, verify-ca or verify-full")
    if target.uses_iam and mode in ("disable", *_OPPORTUNISTIC):
        raise DsnError("iam=true needs sslmode=verify-full or require, since the token is a password")
    if not values.get("sslsni", "1").startswith("1") and mode in (*_OPPORTUNISTIC, "verify-full"):
        raise DsnError(f"sslsni=0 is not supported with sslmode={mode}, only with require or verify-ca. Remove it")
    if mode == "verify-full" and not values.get("host"):
        raise DsnError("sslmode=verify-full needs a host, to compare with the server's certificate")
    lowest, highest = (_version(values, f"ssl_{end}_protocol_version") for end in ("min", "max"))
    if lowest and highest and lowest > highest:
        raise DsnError("ssl_min_protocol_version is later than ssl_max_protocol_version")


def _context(target: DatabaseTarget, host: Host, mode: str) -> _Context:
    values = target.values
    context = _Context(ssl.PROTOCOL_TLS_CLIENT)
    context.server_name = host.name if values.get("sslsni", "1").startswith("1") else None
    context.check_hostname = mode == "verify-full"
    _limit_versions(context, values)
    context.set_alpn_protocols([_ALPN])
    if fault := _unreadable_file(values):
        raise DsnError(f"{fault}. Put the file there, or correct the DSN")
    if _trust(context, values, host, mode):
        _revoke(context, values)
    else:
        context.verify_mode = ssl.CERT_NONE
    if values.get("sslcertmode") != "disable":
        _show_certificate(context, values)
    if file := values.get("sslkeylogfile"):
        try:
            context.keylog_filename = file
        except OSError as error:
            raise DsnError(f"sslkeylogfile names {file}, which cannot be written: {error.strerror}") from None
    return context


def _limit_versions(context: ssl.SSLContext, values: Mapping[str, str]) -> None:
    with warnings.catch_warnings():
        # Old versions are used only if the DSN asks for them.
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = _version(values, "ssl_min_protocol_version") or (
            ssl.TLSVersion.MINIMUM_SUPPORTED if "ssl_min_protocol_version" in values else ssl.TLSVersion.TLSv1_2
        )
        if highest := _version(values, "ssl_max_protocol_version"):
            context.maximum_version = highest


def _version(values: Mapping[str, str], name: str) -> ssl.TLSVersion | None:
    return _VERSIONS.get(values.get(name, "").lower())


def _trust(context: ssl.SSLContext, values: Mapping[str, str], host: Host, mode: str) -> bool:
    """Load the trusted authorities. Returns whether there are any, so that the server is verified."""
    named, own = values.get("sslrootcert"), _of_user("root.crt")
    if named and named != _SYSTEM:
        context.load_verify_locations(cafile=named)
    elif not named and own.exists():
        context.load_verify_locations(cafile=own)
    elif mode == "verify-full":
        context.load_default_certs()
        if host.name.lower().rstrip(".").endswith(_RDS_HOSTS):
            context.load_verify_locations(cafile=RDS_BUNDLE)
    elif mode in _VERIFYING:
        raise DsnError(f"sslmode={mode} needs sslrootcert, the file of the authority. Name it, or use verify-full")
    else:
        return False
    return True


def _revoke(context: ssl.SSLContext, values: Mapping[str, str]) -> None:
    file, folder, own = values.get("sslcrl"), values.get("sslcrldir"), _of_user("root.crl")
    if not (file or folder) and own.exists():
        file = str(own)
    if file or folder:
        context.load_verify_locations(cafile=file or None, capath=folder or None)
        context.verify_flags |= ssl.VERIFY_CRL_CHECK_CHAIN


def _show_certificate(context: ssl.SSLContext, values: Mapping[str, str]) -> None:
    certificate = Path(values.get("sslcert") or _of_user("postgresql.crt"))
    if not certificate.exists():
        return
    key = Path(values.get("sslkey") or _of_user("postgresql.key"))
    if not key.exists():
        raise DsnError(f"the certificate {certificate} has no key: {key} does not exist. Name the key as sslkey")
    status = key.stat()
    others = stat.S_IWGRP | stat.S_IXGRP | stat.S_IRWXO if status.st_uid == 0 else stat.S_IRWXG | stat.S_IRWXO
    if not stat.S_ISREG(status.st_mode) or status.st_mode & others:
        raise DsnError(f"other users may read the key {key}. Restrict it (chmod 600)")
    context.load_cert_chain(certificate, key, password=lambda: values.get("sslpassword", ""))


def _of_user(name: str) -> Path:
    return Path("~", ".postgresql", name).expanduser()


def _unreadable_file(values: Mapping[str, str]) -> str | None:
    """Why the first unreadable file can't be read; None if all can."""
    for name in _FILES:
        path = values.get(name)
        if not path or path == _SYSTEM:
            continue
        try:
            Path(path).open("rb").close()
        except OSError as error:
            return f"{name} names {path}, which cannot be read: {error.strerror}"
    return None


def tls_fault(error: BaseException) -> str | None:
    """If TLS is why a connection failed: what is wrong with it, and what to do; else None."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return (
            f"has a certificate that cannot be verified: {error.verify_message.rstrip('.')}. "
            "Name the file of its CA as sslrootcert in the DSN, and the host as in the certificate."
        )
    if isinstance(error, ssl.SSLError) and not isinstance(error, _BROKEN_OFF):
        return (
            f"cannot be reached with TLS: {error.reason or error}. Correct the TLS parameters of the DSN or the server."
        )
    # The driver has no exception class for it.
    if isinstance(error, ConnectionError) and "rejected SSL upgrade" in str(error):
        return "has no TLS, which the DSN requires. Enable it on the server, or use another sslmode."
    return None
