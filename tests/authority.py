"""Certificate authorities for tests of TLS."""

import ssl
from dataclasses import dataclass
from pathlib import Path

import trustme


@dataclass(frozen=True)
class Authority:
    """A certificate authority, and the file that its certificate is in."""

    authority: trustme.CA
    file: str

    def server(self, host: str) -> ssl.SSLContext:
        """TLS for a server that this authority calls `host`."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.authority.issue_cert(host).configure_cert(context)
        return context


def make_authority(folder: Path, name: str) -> Authority:
    """An authority whose certificate is in a file of the folder."""
    authority = trustme.CA()
    file = folder / f"{name}.pem"
    authority.cert_pem.write_to_path(str(file))
    return Authority(authority, str(file))
