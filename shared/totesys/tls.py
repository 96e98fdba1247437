"""TLS to a database: what a DSN asks for, and what of it cannot be had."""

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

# The authorities of RDS's certificates, which no system trusts by itself: docs/connecting.md says where they are from.
RDS_BUNDLE = Path(__file__).with_name("rds-global-bundle.pem")
_RDS_HOSTS = (".rds.amazonaws.com", ".rds.amazonaws.com.cn")
# What of libpq's TLS parameters names a file.
_FILES = ("sslrootcert", "sslcrl", "sslcert", "sslkey")
_SYSTEM = "system"
_OPPORTUNISTIC = ("allow", "prefer")
_VERIFYING = ("verify-ca", "verify-full")
# What the driver's own parser takes for these two.
_OF_THE_DRIVER = ("sslcert", "sslkey", "sslpassword")
_VERSIONS = {version.name.lower().replace("_", "."): version for version in ssl.TLSVersion if version > 0}
_ALPN = "postgresql"
# The other side went away during the handshake: no fault of TLS.
_BROKEN_OFF = (ssl.SSLEOFError, ssl.SSLZeroReturnError, ssl.SSLSyscallError)


class _Context(ssl.SSLContext):
    """A context that knows by itself what the server is called: the driver calls it what it connects to."""

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
    """How the driver is told about TLS: by what its own parser reads, or by a context."""

    dsn: str | None
    ssl: ssl.SSLContext | Literal[False] | None
    direct_tls: bool


def mode_of(target: DatabaseTarget) -> str:
    """The sslmode, which is verify-full by default where the system's authorities are asked for, or IAM."""
    values = target.values
    strict = values.get("sslrootcert") == _SYSTEM or target.uses_iam
    return values.get("sslmode") or ("verify-full" if strict else "prefer")


def tls_arguments(target: DatabaseTarget, host: Host) -> TlsArguments:
    """How the driver is told about TLS for a host. Raises DsnError; OSError for what a file holds."""
    mode, values = mode_of(target), target.values
    _check(target, mode)
    if host.is_socket or mode == "disable":
        return TlsArguments(dsn=None, ssl=False, direct_tls=False)
    if mode in _OPPORTUNISTIC:
        there = {name: values[name] for name in _OF_THE_DRIVER if values.get(name)}
        for name in ("sslcert", "sslkey"):
            if name in there and not os.path.exists(there[name]):  # noqa: PTH110 - raises nothing
                del there[name]
        said = urlencode({"sslmode": mode, **there, **_versions_of_the_driver(values)})
        return TlsArguments(dsn=f"postgresql://?{said}", ssl=None, direct_tls=False)
    direct = values.get("sslnegotiation") == "direct"
    return TlsArguments(dsn=None, ssl=_context(target, host, mode), direct_tls=direct)


def _versions_of_the_driver(values: Mapping[str, str]) -> dict[str, str]:
    """The limits of TLS's version in the driver's words, but for versions that OpenSSL has no more by itself."""
    limits = {name: _version(values, name) for name in ("ssl_min_protocol_version", "ssl_max_protocol_version")}
    return {name: at.name.replace("_", ".") for name, at in limits.items() if at and at >= ssl.TLSVersion.TLSv1_2}


def _check(target: DatabaseTarget, mode: str) -> None:
    values = target.values
    if values.get("sslrootcert") == _SYSTEM and mode != "verify-full":
        raise DsnError("sslrootcert=system needs sslmode=verify-full: anybody has a certificate of some authority")
    if values.get("sslnegotiation") == "direct" and mode in ("disable", *_OPPORTUNISTIC):
        raise DsnError("sslnegotiation=direct needs sslmode=require, verify-ca or verify-full")
    if target.uses_iam and mode in ("disable", *_OPPORTUNISTIC):
        raise DsnError("iam=true needs sslmode=verify-full or require: the token is a password")
    if not values.get("sslsni", "1").startswith("1") and mode in (*_OPPORTUNISTIC, "verify-full"):
        raise DsnError(f"sslsni=0 is not supported with sslmode={mode}, only with require or verify-ca. Leave it out")
    if mode == "verify-full" and not values.get("host"):
        raise DsnError("sslmode=verify-full needs a host, which the server's certificate names")
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
        # Who asks for an old one has reasons.
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = _version(values, "ssl_min_protocol_version") or (
            ssl.TLSVersion.MINIMUM_SUPPORTED if "ssl_min_protocol_version" in values else ssl.TLSVersion.TLSv1_2
        )
        if highest := _version(values, "ssl_max_protocol_version"):
            context.maximum_version = highest


def _version(values: Mapping[str, str], name: str) -> ssl.TLSVersion | None:
    return _VERSIONS.get(values.get(name, "").lower())


def _trust(context: ssl.SSLContext, values: Mapping[str, str], host: Host, mode: str) -> bool:
    """Load whom to trust; whether there is anybody, so that the server is to be verified."""
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
        raise DsnError(f"sslmode={mode} needs sslrootcert, the file of the authority. Name it, or ask for verify-full")
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
        raise DsnError(f"there is the certificate {certificate}, but not its key {key}. Name it as sslkey")
    status = key.stat()
    others = stat.S_IWGRP | stat.S_IXGRP | stat.S_IRWXO if status.st_uid == 0 else stat.S_IRWXG | stat.S_IRWXO
    if not stat.S_ISREG(status.st_mode) or status.st_mode & others:
        raise DsnError(f"others than its owner may read the key {key}. Take their rights away (chmod 600)")
    context.load_cert_chain(certificate, key, password=lambda: values.get("sslpassword", ""))


def _of_user(name: str) -> Path:
    return Path("~", ".postgresql", name).expanduser()


def _unreadable_file(values: Mapping[str, str]) -> str | None:
    """What is wrong with the first named file that cannot be read; None if all can."""
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
    """What is wrong with TLS if that is why a connection was not made, and what to do; else None."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return (
            f"shows a certificate that does not verify: {error.verify_message}. "
            "Name the file of its CA as sslrootcert in the DSN, and the host as the certificate does."
        )
    if isinstance(error, ssl.SSLError) and not isinstance(error, _BROKEN_OFF):
        return f"cannot be spoken to with TLS: {error.reason or error}. Correct the DSN's ssl settings or the server's."
    # The driver has no class of its own for it.
    if isinstance(error, ConnectionError) and "rejected SSL upgrade" in str(error):
        return "has no TLS, which the DSN asks for. Turn it on there, or give the DSN another sslmode."
    return None
