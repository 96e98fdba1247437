"""Whether a column's type holds every value of the declared one exactly. Pure."""

import re

_FORM = re.compile(r"([a-z ]+?)(?:\((\d+)(?:,(-?\d+))?\))?( without time zone)?")
_TEXTS = {"text", "character varying"}


def holds(declared: str, found: str) -> bool:
    """Whether the type `found` holds what `declared` does; both as `format_type` prints them."""
    if declared == found:
        return True
    wanted, other = _FORM.fullmatch(declared), _FORM.fullmatch(found)
    if wanted is None or other is None or wanted[4] != other[4]:
        return False
    return _holds((wanted[1], _digits(wanted)), (other[1], _digits(other)))


def _holds(wanted: tuple[str, tuple[int, ...]], other: tuple[str, tuple[int, ...]]) -> bool:
    (base, digits), (found, room) = wanted, other
    if base in _TEXTS and found in _TEXTS:
        return not room or (bool(digits) and room[0] >= digits[0])
    if (base, found) == ("integer", "bigint"):
        return True
    if base != found:
        return False
    if not room or not digits:
        return not room
    if base == "numeric":
        return room[1] >= digits[1] and room[0] - room[1] >= digits[0] - digits[1]
    return room[0] >= digits[0]  # of a second


def _digits(form: re.Match[str]) -> tuple[int, ...]:
    return tuple(int(digits) for digits in (form[2], form[3]) if digits is not None)
