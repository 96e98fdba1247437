"""Whether a column of another type still brings what its declaration promises. Pure."""

import re
from dataclasses import dataclass

from totesys.types import ColumnType, Kind

# The digits that an integer needs at most.
_INTEGERS = {"smallint": 5, "integer": 10, "bigint": 19}
_VARCHAR = re.compile(r"character varying(?:\((\d+)\))?")
_NUMERIC = re.compile(r"numeric\((\d+),(-?\d+)\)")
_TIME = re.compile(r"(time|timestamp)\(([0-3])\) without time zone")


@dataclass(frozen=True)
class FoundType:
    """A column's type in the source, as `format_type` prints it; of an enum its labels, in order."""

    name: str
    labels: tuple[str, ...] | None = None


def is_compatible(declared: ColumnType, found: FoundType) -> bool:
    """Whether every value of the found type is one of the declared type, and is read as equal from what COPY prints."""
    if found.name == declared.postgres:
        return True
    if declared.values:
        return found.name == "text" or _VARCHAR.fullmatch(found.name) is not None
    match declared.kind:
        case Kind.TEXT:
            return _is_text(declared, found)
        case Kind.INT32 | Kind.INT64:
            return _INTEGERS.get(found.name, 99) < _INTEGERS[declared.postgres]
        case Kind.DECIMAL:
            return _is_decimal(declared, found.name)
        case Kind.TIMESTAMP | Kind.TIME:
            return _is_no_finer(declared.postgres, found.name)
    return False


def _is_text(declared: ColumnType, found: FoundType) -> bool:
    varchar = _VARCHAR.fullmatch(found.name)
    if limit := _VARCHAR.fullmatch(declared.postgres):
        return bool(varchar and varchar[1] and int(varchar[1]) <= int(limit[1]))
    return varchar is not None or found.labels is not None


def _is_decimal(declared: ColumnType, found: str) -> bool:
    precision, scale = declared.digits
    if found in _INTEGERS:
        return _INTEGERS[found] <= precision - scale
    if digits := _NUMERIC.fullmatch(found):
        found_precision, found_scale = int(digits[1]), int(digits[2])
        return found_scale <= scale and found_precision - found_scale <= precision - scale
    return False


def _is_no_finer(declared: str, found: str) -> bool:
    limit, finer = _TIME.fullmatch(declared), _TIME.fullmatch(found)
    return bool(limit and finer and finer[1] == limit[1] and int(finer[2]) <= int(limit[2]))
