"""How to reach a local stack's emulator: its region, its services, and credentials generated for each stack."""

import contextlib
import json
import os
import secrets
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from totesys_cli.command_errors import LocalStackError
from totesys_cli.local.private_files import is_private, write_private

REGION = "eu-west-2"
# The services that the data plane's template and its users call.
SERVICES = ("s3", "sqs", "events", "scheduler", "cloudformation")

_FILE = "credentials.json"
_SETTINGS = frozenset(("AWS_ACCESS_KEY_ID", "AWS_PROFILE", "AWS_SHARED_CREDENTIALS_FILE"))


@dataclass(frozen=True)
class Credentials:
    """An access key as AWS has them. The emulator would take one of twelve digits for an account number."""

    access_key: str = field(default_factory=lambda: f"LOCAL{secrets.token_hex(8).upper()}")
    secret_key: str = field(default_factory=lambda: secrets.token_urlsafe(30), repr=False)

    def environment(self) -> dict[str, str]:
        """The variables that AWS clients read."""
        return {"AWS_ACCESS_KEY_ID": self.access_key, "AWS_SECRET_ACCESS_KEY": self.secret_key}


def keep(credentials: Credentials, port: int) -> Path:
    """Write them where `find` looks for the emulator at this loopback port; the folder, accessible to this user alone.

    The emulator removes it when it stops. Raises LocalStackError if another user has a folder of that name.
    """
    folder = _folder(port)
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    if not is_private(folder):
        raise LocalStackError(f"{folder} is accessible to other users. Remove it, or set XDG_RUNTIME_DIR.")
    write_private(folder / _FILE, json.dumps([credentials.access_key, credentials.secret_key]))
    return folder


def find(endpoint: str) -> Credentials | None:
    """The credentials of the emulator at this address, if this user started it."""
    try:
        folder = _folder(urlsplit(endpoint).port or 0)
        return Credentials(*json.loads((folder / _FILE).read_text())) if is_private(folder) else None
    except (OSError, ValueError, TypeError):
        return None


def known(endpoint: str) -> Credentials | None:
    """The credentials to use for the emulator at this address; None where the AWS settings name them.

    Without any, made-up ones: the server at that address, if there is one, answers that it does not know them.
    """
    return find(endpoint) or (None if _SETTINGS.intersection(os.environ) else Credentials())


def _folder(port: int) -> Path:
    # Not TMPDIR: another terminal may set it differently.
    return Path(os.environ.get("XDG_RUNTIME_DIR") or "/tmp") / f"totesys-{os.geteuid()}-lake-{port}"  # noqa: S108 - checked to be this user's
