"""Postgres's own client: what it makes of a DSN, and its library's parser."""

import ctypes
import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from totesys_cli.local.binaries import find_binaries


@dataclass(frozen=True)
class Answer:
    """What a client got: who it is and where, or nothing and why."""

    said: str | None
    error: str = ""


QUESTION = "SELECT current_user || '@' || current_database() || ' (' || current_setting('application_name') || ')'"


def ask_psql(dsn: str, environment: Mapping[str, str]) -> Answer:
    """What psql is answered that is called with a DSN in an environment."""
    ran = subprocess.run(
        [_folder() / "psql", "--no-psqlrc", "--no-password", "--tuples-only", "--no-align", "-c", QUESTION, dsn],
        env={"PATH": os.environ["PATH"], **environment},
        capture_output=True,
        text=True,
        timeout=60,
    )
    return Answer(ran.stdout.strip()) if ran.returncode == 0 else Answer(None, ran.stderr)


def parsed_by_libpq(dsn: str) -> dict[str, bytes] | None:
    """The parameters that libpq reads in a DSN; None if it cannot read it."""
    library = _libpq()
    error = ctypes.c_char_p()
    options = library.PQconninfoParse(dsn.encode(), ctypes.byref(error))
    if not options:
        return None
    found, number = {}, 0
    while options[number].keyword:
        if options[number].val is not None:
            found[options[number].keyword.decode()] = options[number].val
        number += 1
    library.PQconninfoFree(options)
    return found


class _Option(ctypes.Structure):
    # PQconninfoOption of libpq-fe.h.
    _fields_ = [
        *((name, ctypes.c_char_p) for name in ("keyword", "envvar", "compiled", "val", "label", "dispchar")),
        ("dispsize", ctypes.c_int),
    ]


def parameters_of_libpq() -> dict[str, str | None]:
    """Every parameter that libpq has, with its environment variable."""
    options = _libpq().PQconndefaults()
    found: dict[str, str | None] = {}
    while options[len(found)].keyword:
        option = options[len(found)]
        found[option.keyword.decode()] = option.envvar.decode() if option.envvar else None
    return found


@cache
def _libpq() -> ctypes.CDLL:
    folder = subprocess.run([_folder() / "pg_config", "--libdir"], capture_output=True, text=True, check=True).stdout
    library = ctypes.CDLL(str(Path(folder.strip()) / "libpq.so.5"))
    library.PQconninfoParse.restype = library.PQconndefaults.restype = ctypes.POINTER(_Option)
    library.PQconninfoParse.argtypes = [ctypes.c_char_p, ctypes.POINTER(ctypes.c_char_p)]
    library.PQconninfoFree.argtypes = [ctypes.POINTER(_Option)]
    return library


@cache
def _folder() -> Path:
    return find_binaries(None)
