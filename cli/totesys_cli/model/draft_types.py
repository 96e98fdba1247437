"""The declaration of a source column's type, as Python source. Pure."""

import json
import re

from totesys import types
from totesys.types import ColumnType
from totesys_ingest.type_compatibility import FoundType, is_compatible

_SIZED = (
    (re.compile(r"character varying\((\d+)\)"), "varchar({0})"),
    (re.compile(r"numeric\((\d+),(\d+)\)"), "numeric({0}, {1})"),
)
_CONSTANTS = {name: value for name, value in vars(types).items() if isinstance(value, ColumnType)}


def literal(text: str) -> str:
    """A text as Python source, in the quotes that need no escape."""
    if '"' in text and text.isprintable() and not {"'", "\\"} & set(text):
        return f"'{text}'"
    return json.dumps(text, ensure_ascii=False)


def declaration(found: FoundType) -> str | None:
    """The expression that declares a type; None for a type that the engine cannot capture."""
    if found.labels is not None:
        name = found.name.removeprefix('"').removesuffix('"').replace('""', '"')
        return f"enum({', '.join(map(literal, (name, *found.labels)))})"
    for pattern, expression in _SIZED:
        if sizes := pattern.fullmatch(found.name):
            return expression.format(*sizes.groups())
    exact = [name for name, value in _CONSTANTS.items() if value.postgres == found.name]
    others = [name for name, value in _CONSTANTS.items() if is_compatible(value, found)]
    return next(iter((*exact, *others)), None)
