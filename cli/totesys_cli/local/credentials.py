"""The credentials of a local stack's emulator: made up for each, and found again by the emulator's address."""

import contextlib
import json
import os
import secrets
import stat
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from totesys_cli.local.errors import LocalStackError
from totesys_cli.local.private import write_private

_FILE = "credentials.json"
_SAID_BY = frozenset(("AWS_ACCESS_KEY_ID", "AWS_PROFILE", "AWS_SHARED_CREDENTIALS_FILE"))


@dataclass(frozen=True)
class Credentials:
    """An access key as AWS has them. One of twelve digits alone would name an account to the emulator."""

    access_key: str = field(default_factory=lambda: f"LOCAL{secrets.token_hex(8).upper()}")
    secret_key: str = field(default_factory=lambda: secrets.token_urlsafe(30), repr=False)

    def environment(self) -> dict[str, str]:
        """The variables that AWS's clients read."""
        return {"AWS_ACCESS_KEY_ID": self.access_key, "AWS_SECRET_ACCESS_KEY": self.secret_key}


def keep(credentials: Credentials, port: int) -> Path:
    """Write them where `find` looks for the emulator at this loopback port; the folder, this user's alone.

    It is removed when the emulator stops. Raises `LocalStackError` if another user has a folder of that name.
    """
    folder = _folder(port)
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    if not _is_ours(folder):
        raise LocalStackError(f"{folder} is not this user's alone: remove it, or set XDG_RUNTIME_DIR.")
    write_private(folder / _FILE, json.dumps([credentials.access_key, credentials.secret_key]))
    return folder


def find(endpoint: str) -> Credentials | None:
    """Those of the emulator at this address, if this user has started it."""
    try:
        folder = _folder(urlsplit(endpoint).port or 0)
        return Credentials(*json.loads((folder / _FILE).read_text())) if _is_ours(folder) else None
    except (OSError, ValueError, TypeError):
        return None


def known(endpoint: str) -> Credentials | None:
    """Those to use for the emulator at this address; None where AWS's own settings say them.

    Where nobody says any they are nobody's: whatever is there, if anything is, says that it doesn't know them.
    """
    return find(endpoint) or (None if _SAID_BY.intersection(os.environ) else Credentials())


def _folder(port: int) -> Path:
    # Not TMPDIR, which another terminal may have set otherwise.
    return Path(os.environ.get("XDG_RUNTIME_DIR") or "/tmp") / f"totesys-{os.geteuid()}-lake-{port}"  # noqa: S108 - checked to be this user's


def _is_ours(folder: Path) -> bool:
    status = folder.lstat()
    return stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid() and not status.st_mode & 0o077
