"""The variables of the environment, as the declarations of services and command say them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from types import NoneType, UnionType
from typing import Any, get_args

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

PREFIX = "TOTESYS_"
TYPES = {str: "text", SecretStr: "text, secret", int: "integer", float: "number", timedelta: "period"}
LIMITS = {"ge": "at least", "gt": "more than", "le": "at most", "lt": "less than"}


@dataclass(frozen=True)
class Variable:
    """One variable: `default` is None where it has to be set, "" where nothing holds without it."""

    name: str
    type: str
    default: str | None
    description: str


def of_service(settings: type[BaseModel], beside: type[BaseModel] | None = None) -> list[Variable]:
    """The variables of a service's settings, without those that `beside` has too."""
    known = beside.model_fields if beside else {}
    return [_of_field(name, field) for name, field in settings.model_fields.items() if name not in known]


def of_command(root: Any) -> list[tuple[Variable, list[str]]]:
    """The variables that options of the command are read from, each with the commands that have it, by name."""
    found: dict[str, tuple[Variable, list[str]]] = {}
    for command, parameter in _parameters(root, ()):
        variable = _of_parameter(parameter)
        if variable:
            found.setdefault(variable.name, (variable, []))[1].append(command)
    return [found[name] for name in sorted(found)]


def _of_field(name: str, field: FieldInfo) -> Variable:
    return Variable(
        PREFIX + name.upper(),
        ", ".join([TYPES[_kind(field.annotation)], *_limits(field)]),
        None if field.is_required() else _text(field.default),
        field.description or "",
    )


def _kind(annotation: Any) -> Any:
    """The type without its None."""
    if isinstance(annotation, UnionType):
        (kind,) = (one for one in get_args(annotation) if one is not NoneType)
        return kind
    return annotation


def _limits(field: FieldInfo) -> Iterator[str]:
    for constraint in field.metadata:
        for name, words in LIMITS.items():
            if (limit := getattr(constraint, name, None)) is not None:
                yield f"{words} {_text(limit)}"


def _text(value: object) -> str:
    match value:
        case None:
            return ""
        case timedelta():
            return f"{value.total_seconds():.3f}".rstrip("0").rstrip(".") + " s"
        case _:
            return str(value)


def _parameters(command: Any, path: Sequence[str]) -> Iterator[tuple[str, Any]]:
    for name, inner in getattr(command, "commands", {}).items():
        yield from _parameters(inner, (*path, name))
    for parameter in command.params:
        yield " ".join(path), parameter


def _of_parameter(parameter: Any) -> Variable | None:
    name = parameter.envvar
    if not isinstance(name, str) or not name.startswith(PREFIX):
        return None
    default = None if parameter.required else _text(parameter.default)
    return Variable(name, TYPES[_kind(parameter.type_descriptor.annotation)], default, parameter.help or "")
