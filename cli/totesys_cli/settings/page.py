"""The page docs/settings.md."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import typer

from totesys.service_settings import SECRETS_DIR, ServiceSettings
from totesys_cli.settings.variables import Variable, of_command, of_service
from totesys_ingest.ingest_settings import IngestSettings
from totesys_load.load_settings import LoadSettings
from totesys_transform.transform_settings import TransformSettings

SERVICES: Mapping[str, type[ServiceSettings]] = {
    "ingest": IngestSettings,
    "transform": TransformSettings,
    "load": LoadSettings,
}

INTRODUCTION = f"""# Settings

Every variable that services and command read, with its type, what holds without it, and what it means. This page is
made of the declarations by `make docs`.

- Services and command read the environment first, then files: `{SECRETS_DIR}` names the folder where Docker, ECS or
  Kubernetes mount secrets, and a file `totesys_source_dsn` in it is `TOTESYS_SOURCE_DSN`. Where a setting is missing or
  wrong, the service ends with 2 and one log line that names each fault.
- A **period** is a number of seconds (`90`), one with its unit (`90 s`, `5m`, `1h`), or ISO 8601 (`PT90S`); an option
  of the command takes `30s`, `5m`, `1h`.
- Region, credentials and endpoint of S3 and SQS are AWS's own: `AWS_DEFAULT_REGION`, `AWS_PROFILE`,
  `AWS_ENDPOINT_URL`, …
- `TOTESYS_ANALYST_PASSWORD` is the password that `totesys local reader` sets. It has no option, so it never shows in a
  list of processes.
- What `docker compose` reads besides is in [.env.example](../.env.example).
- An image has the commit that it was built from in `TOTESYS_REVISION`: `totesys --version` prints it."""

EACH = "## All three services"
COMMAND = """## The command

An option that is given counts more than its variable. `totesys COMMAND --help` shows both."""


def to_markdown(app: typer.Typer) -> str:
    """The whole page; `app` is the command."""
    return "\n\n".join(_sections(app)) + "\n"


def all_names(command: Any) -> set[str]:
    """The name of every variable that a service or the command reads."""
    services = [one.name for settings in SERVICES.values() for one in of_service(settings)]
    return {*services, *(variable.name for variable, _ in of_command(command))}


def _sections(app: typer.Typer) -> Iterator[str]:
    yield INTRODUCTION
    yield EACH
    yield _table(of_service(ServiceSettings))
    for name, settings in SERVICES.items():
        own = of_service(settings, beside=ServiceSettings)
        yield f"## {name.capitalize()}"
        yield _table(own) if own else "Nothing besides."
    yield COMMAND
    yield "\n".join(
        ["| variable | type | default | description | commands |", "|---|---|---|---|---|"]
        + [
            f"{_row(variable)} {', '.join(f'`{name}`' for name in names)} |"
            for variable, names in of_command(typer.main.get_command(app))
        ]
    )


def _table(variables: Iterable[Variable]) -> str:
    return "\n".join(["| variable | type | default | description |", "|---|---|---|---|", *map(_row, variables)])


def _row(variable: Variable) -> str:
    match variable.default:
        case None:
            default = "**to be set**"
        case "":
            default = "not set"
        case text:
            default = f"`{text}`"
    return f"| `{variable.name}` | {variable.type} | {default} | {variable.description} |"
