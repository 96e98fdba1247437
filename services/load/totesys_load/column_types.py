"""Whether a column's type holds every value of the declared type exactly. Pure."""

import re

_FORM = re.compile(r"([a-z ]+?)(?:\((\d+)(?:,(-?\d+))?\))?( with(?:out)? time zone)?")
_TEXTS = {"text", "character varying"}


def holds(declared: str, found: str) -> bool:
    """Whether the type `found` holds every value of `declared`; both as `format_type` prints them."""
    if declared == found:
        return True
    wanted, other = _FORM.fullmatch(declared), _FORM.fullmatch(found)
    if wanted is None or other is None or wanted[4] != other[4]:
        return False
    (base, digits), (kind, room) = _parsed(wanted), _parsed(other)
    if base in _TEXTS and kind in _TEXTS:
        return not room or (bool(digits) and room[0] >= digits[0])
    if (base, kind) == ("integer", "bigint"):
        return True
    if base != kind:
        return False
    if not room or not digits:
        return not room
    if base == "numeric":
        return room[1] >= digits[1] and room[0] - room[1] >= digits[0] - digits[1]
    return room[0] >= digits[0]  # fractions of a second


def _parsed(form: re.Match[str]) -> tuple[str, tuple[int, ...]]:
    return form[1], tuple(int(digits) for digits in (form[2], form[3]) if digits is not None)
