"""Periods as people write them: `90`, `90 s`, `5m`, `1h`, `PT90S`."""

import re
from datetime import timedelta
from typing import Annotated

from pydantic import BeforeValidator, TypeAdapter, ValidationError
from pydantic_core import PydanticCustomError

_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600}
_WRITTEN = re.compile(r"\s*([0-9]{1,9}(?:\.[0-9]{1,6})?)\s?([smh]?)\s*")
_iso_8601: TypeAdapter[timedelta] = TypeAdapter(timedelta)


def _read(value: object) -> timedelta:
    if isinstance(value, str) and (written := _WRITTEN.fullmatch(value)):
        return timedelta(seconds=float(written[1]) * _UNITS[written[2]])
    try:
        return _iso_8601.validate_python(value)
    except ValidationError:
        raise PydanticCustomError(
            "period", "Write a period as seconds, 90, with its unit, 90 s, 5m or 1h, or as ISO 8601 has it, PT90S"
        ) from None


Period = Annotated[timedelta, BeforeValidator(_read)]
