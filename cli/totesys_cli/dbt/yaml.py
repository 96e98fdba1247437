"""YAML of mappings, lists and scalars. Pure."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import TypeAlias

Yaml: TypeAlias = "str | int | bool | Mapping[str, Yaml] | Sequence[Yaml]"


def to_yaml(value: Mapping[str, Yaml]) -> str:
    """The document. Texts are quoted as in JSON, which YAML reads."""
    return "".join(f"{line}\n" for line in _lines(value))


def _lines(value: Yaml) -> Iterator[str]:
    match value:
        case str() | bool() | int():
            yield json.dumps(value, ensure_ascii=False)
        case Mapping():
            for key, inner in value.items():
                yield from _entry(f"{key}:", inner)
        case _:
            for inner in value:
                first, *rest = _lines(inner)
                yield f"- {first}"
                yield from (f"  {line}" for line in rest)


def _entry(key: str, inner: Yaml) -> Iterator[str]:
    lines = list(_lines(inner))
    if isinstance(inner, str | bool | int):
        yield f"{key} {lines[0]}"
    else:
        yield key
        yield from (f"  {line}" for line in lines)
