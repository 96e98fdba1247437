"""Password files: lines of `host:port:database:user:password`, with \\ before a : or a \\ in a field."""

import re
import stat
from pathlib import Path

from totesys.dsn.parameters import DsnError

_FIELD = re.compile(r"((?:[^:\\]|\\.|\\$)*)(?::|$)", re.DOTALL)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)


def password_in(file: Path, host: str, port: int, database: str, user: str) -> str | None:
    """The password of the first matching line; None if there is none, or if other users may read the file."""
    try:
        status = file.stat()
        if not stat.S_ISREG(status.st_mode) or status.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            return None
        lines = file.read_bytes().decode().split("\n")
    except OSError:
        return None
    except UnicodeDecodeError:
        raise DsnError(f"the password file {file} is not UTF-8") from None
    wanted = (host, str(port), database, user)
    for line in lines:
        if line.startswith("#"):
            continue
        found = _password(line.rstrip("\r"), wanted)
        if found is not None:
            return found
    return None


def _password(line: str, wanted: tuple[str, ...]) -> str | None:
    rest = line
    for value in wanted:
        field = _FIELD.match(rest)
        if field is None or not field[0].endswith(":") or (field[1] != "*" and _plain(field[1]) != value):
            return None
        rest = rest[field.end() :]
    field = _FIELD.match(rest)
    return _plain(field[1]) if field else None


def _plain(field: str) -> str:
    return _ESCAPED.sub(r"\1", field)
