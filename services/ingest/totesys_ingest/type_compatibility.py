"""Whether a source column of another type still delivers what its declaration promises. Pure."""

import re
from dataclasses import dataclass

from totesys.types import ColumnType, Kind

# The most digits that a value of the type has.
_INTEGER_DIGITS = {"smallint": 5, "integer": 10, "bigint": 19}
_VARCHAR = re.compile(r"character varying(?:\((\d+)\))?")
_NUMERIC = re.compile(r"numeric\((\d+),(-?\d+)\)")
_TIME = re.compile(r"(time|timestamp)(?:\(([0-6])\))? (with(?:out)? time zone)")
_MOST_DECIMALS = 6


@dataclass(frozen=True)
class FoundType:
    """A column's type in the source, as `format_type` prints it, with an enum's labels in order."""

    name: str
    labels: tuple[str, ...] | None = None


def is_compatible(declared: ColumnType, found: FoundType) -> bool:
    """Whether every value of the found type belongs to the declared type and reads the same from COPY's output."""
    if found.name == declared.postgres:
        return True
    if declared.source_only or declared.postgres in ("uuid", "jsonb") or declared.postgres.startswith("character("):
        return False
    if declared.values:
        return found.name == "text" or _VARCHAR.fullmatch(found.name) is not None
    match declared.kind:
        case Kind.TEXT:
            return _is_text(declared, found)
        case Kind.INT32 | Kind.INT64:
            return _INTEGER_DIGITS.get(found.name, 99) < _INTEGER_DIGITS[declared.postgres]
        case Kind.DECIMAL:
            return _is_decimal(declared, found.name)
        case Kind.TIMESTAMP | Kind.INSTANT | Kind.TIME:
            return _is_no_finer(declared.postgres, found.name)
    return False


def _is_text(declared: ColumnType, found: FoundType) -> bool:
    varchar = _VARCHAR.fullmatch(found.name)
    if limit := _VARCHAR.fullmatch(declared.postgres):
        return bool(varchar and varchar[1] and int(varchar[1]) <= int(limit[1]))
    return varchar is not None or found.labels is not None


def _is_decimal(declared: ColumnType, found: str) -> bool:
    precision, scale = declared.digits
    if found in _INTEGER_DIGITS:
        return _INTEGER_DIGITS[found] <= precision - scale
    if digits := _NUMERIC.fullmatch(found):
        found_precision, found_scale = int(digits[1]), int(digits[2])
        return found_scale <= scale and found_precision - found_scale <= precision - scale
    return False


def _is_no_finer(declared: str, found: str) -> bool:
    limit, finer = _TIME.fullmatch(declared), _TIME.fullmatch(found)
    if not limit or not finer or (limit[1], limit[3]) != (finer[1], finer[3]):
        return False
    return int(finer[2] or _MOST_DECIMALS) <= int(limit[2] or _MOST_DECIMALS)
