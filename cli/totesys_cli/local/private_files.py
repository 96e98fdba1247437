"""Files and locked folders that only their owner can read, whatever the umask."""

import fcntl
import os
import stat
import time
from io import TextIOWrapper
from pathlib import Path
from typing import Literal

from totesys_cli.command_errors import LocalStackError

LOCK_SECONDS = 15.0


def write_private(file: Path, text: str) -> None:
    """Write a file as a whole: readers see the old content until then, or no file."""
    draft = file.with_name(f"{file.name}.new")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as output:
        output.write(text)
    draft.rename(file)


def open_private(file: Path, mode: Literal["w", "a"]) -> TextIOWrapper:
    """Open a text file for writing. If this user owns it already, other users lose access to it."""
    opened = open(file, mode, encoding="utf-8", opener=_only_for_the_owner)  # noqa: SIM115 - the caller closes it
    status = os.fstat(opened.fileno())
    if stat.S_ISREG(status.st_mode) and status.st_uid == os.geteuid():
        os.fchmod(opened.fileno(), 0o600)
    return opened


def _only_for_the_owner(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def is_private(folder: Path, *, forbidden: int = 0o077) -> bool:
    """Whether `folder` is this user's, not a symbolic link, and grants others none of the rights `forbidden`."""
    try:
        status = folder.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid() and not status.st_mode & forbidden


def lock_folder(folder: Path, server: str) -> int:
    """Make `folder`, lock it, and return the lock's file descriptor; closing every copy of it unlocks.

    Waits up to 15 s for a server that is stopping. Raises LocalStackError after that, or if the folder cannot be
    written.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise LocalStackError(
            f"{server} cannot keep its state in {folder}: {error.strerror}. Choose another folder."
        ) from error
    deadline = time.monotonic() + LOCK_SECONDS
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                os.close(lock)
                raise LocalStackError(
                    f"{server} cannot use {folder}: another one runs there. Stop it, or choose another folder."
                ) from None
            time.sleep(0.05)
        else:
            return lock
