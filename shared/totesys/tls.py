"""TLS to a database: what a DSN asks for that cannot be had."""

import os
import ssl
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

# What of libpq's TLS settings names a file. Each may also stand in the environment, as PGSSLROOTCERT and so on.
_FILES = ("sslrootcert", "sslcrl", "sslcert", "sslkey")
# The other side went away during the handshake: no fault of TLS.
_BROKEN_OFF = (ssl.SSLEOFError, ssl.SSLZeroReturnError, ssl.SSLSyscallError)


def unreadable_file(dsn: str) -> str | None:
    """What is wrong with the first file named by a DSN that cannot be read; None if all can. Raises ValueError."""
    named = parse_qs(urlsplit(dsn).query)
    for name in _FILES:
        path = named[name][-1] if name in named else os.environ.get(f"PG{name.upper()}")
        if not path:
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
