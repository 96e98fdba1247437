"""Files that only their owner can read, whatever the umask."""

import os
import stat
from io import TextIOWrapper
from pathlib import Path
from typing import Literal


def write_private(file: Path, text: str) -> None:
    """Write a new file whole: who looks meanwhile sees the one before, or none."""
    draft = file.with_name(f"{file.name}.new")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as output:
        output.write(text)
    draft.rename(file)


def open_private(file: Path, mode: Literal["w", "a"]) -> TextIOWrapper:
    """Open a file of text to be written; one that is there already becomes this user's alone, if it is this user's."""
    opened = open(file, mode, encoding="utf-8", opener=_only_for_the_owner)  # noqa: SIM115 - the caller closes it
    status = os.fstat(opened.fileno())
    if stat.S_ISREG(status.st_mode) and status.st_uid == os.geteuid():
        os.fchmod(opened.fileno(), 0o600)
    return opened


def _only_for_the_owner(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
