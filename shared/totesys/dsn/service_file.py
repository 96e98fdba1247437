"""Service files: `pg_service.conf` holds the parameters of services that a DSN can name."""

import os
import re
from pathlib import Path

from totesys.dsn.parameters import BLANKS, KNOWN, DsnError

_USERS, _SYSTEM = ".pg_service.conf", "pg_service.conf"
# The system's folders in Debian and Red Hat, unless PGSYSCONFDIR names another.
_SYSTEM_FOLDERS = ("/etc/postgresql-common", "/etc")


def service(name: str, file: str | None) -> dict[str, str]:
    """The parameters of a service, from `file` or the user's file, then from the system's. Raises DsnError."""
    for path in _files(file):
        found = _section(path, name)
        if found is not None:
            return found
    shown = f' "{name}"' if re.fullmatch(r"[\w.-]+", name) else ""
    raise DsnError(f"no service file defines the service{shown}")


def _files(file: str | None) -> list[Path]:
    named = os.environ.get("PGSYSCONFDIR")
    system = [Path(folder) / _SYSTEM for folder in ([named] if named else _SYSTEM_FOLDERS)]
    if file is not None:
        if not os.path.isfile(file):  # noqa: PTH113 - raises nothing
            raise DsnError(f"the service file {file} does not exist")
        return [Path(file), *system]
    return [Path("~", _USERS).expanduser(), *system]


def _section(path: Path, name: str) -> dict[str, str] | None:
    try:
        lines = path.read_bytes().decode().split("\n")
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise DsnError(
            f"the service file {path} cannot be read: {getattr(error, 'strerror', 'it is not UTF-8')}"
        ) from None
    found: dict[str, str] | None = None
    for number, line in enumerate((line.strip(BLANKS) for line in lines), 1):
        if not line or line.startswith("#"):
            continue
        if line.startswith("["):
            if found is not None:
                break
            found = {} if line.startswith(f"[{name}]") else None
        elif found is not None:
            key, equals, value = line.partition("=")
            if not equals or key not in KNOWN or key in ("service", "servicefile"):
                raise DsnError(f"line {number} of the service file {path} is not a parameter=value that Postgres knows")
            found.setdefault(key, value)
    return found
