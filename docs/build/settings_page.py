"""docs/settings.md: every variable that the services and the command read, generated from the declarations.

python -m docs.build.settings_page FILE
"""

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, get_args, get_origin

import typer
from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from totesys.service_settings import SECRETS_DIR, ServiceSettings
from totesys_cli.command_line import app
from totesys_cli.doctor.doctor_command import PREFIX
from totesys_ingest.ingest_settings import IngestSettings
from totesys_lakehouse.lakehouse_settings import LakehouseSettings
from totesys_load.load_settings import LoadSettings
from totesys_transform.transform_settings import TransformSettings

SERVICES: Mapping[str, type[ServiceSettings]] = {
    "ingest": IngestSettings,
    "transform": TransformSettings,
    "load": LoadSettings,
    "lakehouse": LakehouseSettings,
}
TYPES = {
    str: "text",
    SecretStr: "text, secret",
    int: "integer",
    float: "number",
    Path: "file",
    bool: "`true` or `false`",
    timedelta: "period",
}
LIMITS = {"ge": "at least", "gt": "more than", "le": "at most", "lt": "less than"}

INTRODUCTION = f"""# Settings

Every variable that the services and the command read, with its type, default and description. `make docs` generates
this page from the declarations.

- Services and command read the environment first, then files: `{SECRETS_DIR}` names the folder where Docker, ECS or
  Kubernetes mount secrets, and a file `totesys_source_dsn` in it sets `TOTESYS_SOURCE_DSN`. If a setting is missing or
  invalid, the service exits with 2 and one log line that names each fault.
- A **period** is a number of seconds (`90`), one with its unit (`90 s`, `5m`, `1h`), or ISO 8601 (`PT90S`); an option
  of the command takes `30s`, `5m`, `1h`.
- Region, credentials and endpoint of S3 and SQS are AWS settings: `AWS_DEFAULT_REGION`, `AWS_PROFILE`,
  `AWS_ENDPOINT_URL`, …
- `TOTESYS_ANALYST_PASSWORD` is the password that `totesys local reader` sets. It has no option, so it never appears in
  the process list.
- [.env.example](../.env.example) has the further variables of `docker compose`.
- `TOTESYS_REVISION` of an image is the commit that it was built from: `totesys --version` prints it."""

COMMAND = """## The command

An option overrides its variable, and a variable overrides
[totesys.toml](commands.md#a-file-for-what-you-type-every-time). `totesys COMMAND --help` shows both."""


@dataclass(frozen=True)
class Variable:
    """One variable. `default` is None if it is required, "" if it has no default."""

    name: str
    type: str
    default: str | None
    description: str


def to_markdown() -> str:
    """The whole page."""
    return "\n\n".join(_sections()) + "\n"


def _sections() -> Iterator[str]:
    yield from (INTRODUCTION, "## All services", _table(_of_service(ServiceSettings)))
    for name, settings in SERVICES.items():
        own = _of_service(settings, beside=ServiceSettings)
        yield from (f"## {name.capitalize()}", _table(own) if own else "No further settings.")
    yield COMMAND
    rows = [(v, ", ".join(f"`{name}`" for name in names)) for v, names in _of_command(typer.main.get_command(app))]
    yield "\n".join(
        ["| variable | type | default | description | commands |", "|---|---|---|---|---|"]
        + [f"{_row(variable)} {names} |" for variable, names in rows]
    )


def _table(variables: Iterable[Variable]) -> str:
    return "\n".join(["| variable | type | default | description |", "|---|---|---|---|", *map(_row, variables)])


def _row(variable: Variable) -> str:
    default = {None: "**required**", "": "not set"}.get(variable.default, f"`{variable.default}`")
    return f"| `{variable.name}` | {variable.type} | {default} | {variable.description} |"


def _of_service(settings: type[BaseModel], beside: type[BaseModel] | None = None) -> list[Variable]:
    """The variables of a service's settings, without those of `beside`."""
    known = beside.model_fields if beside else {}
    return [
        Variable(
            PREFIX + name.upper(),
            ", ".join([_words(_kind(field.annotation)), *_limits(field)]),
            None if field.is_required() else _text(field.default),
            field.description or "",
        )
        for name, field in settings.model_fields.items()
        if name not in known
    ]


def _of_command(root: Any) -> list[tuple[Variable, list[str]]]:
    """The variables that the command's options read, by name, each with the commands that have it."""
    found: dict[str, tuple[Variable, list[str]]] = {}
    for command, parameter in _parameters(root, ()):
        name = parameter.envvar
        if isinstance(name, str) and name.startswith(PREFIX):
            default = None if parameter.required else _text(parameter.default)
            kind = TYPES[_kind(parameter.type_descriptor.annotation)]
            found.setdefault(name, (Variable(name, kind, default, parameter.help or ""), []))[1].append(command)
    return [found[name] for name in sorted(found)]


def _parameters(command: Any, path: Sequence[str]) -> Iterator[tuple[str, Any]]:
    for name, inner in getattr(command, "commands", {}).items():
        yield from _parameters(inner, (*path, name))
    yield from ((" ".join(path) or "totesys", parameter) for parameter in command.params)


def _words(kind: Any) -> str:
    if get_origin(kind) is Literal:
        return " or ".join(f"`{value}`" for value in get_args(kind))
    return TYPES[kind]


def _kind(annotation: Any) -> Any:
    """The type without None."""
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
        case bool():
            return str(value).lower()
        case timedelta():
            return f"{value.total_seconds():.3f}".rstrip("0").rstrip(".") + " s"
        case _:
            return str(value)


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(to_markdown(), encoding="utf-8")
