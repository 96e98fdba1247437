"""`totesys.toml`: named profiles with the options that one's commands share."""

import os
import tomllib
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from totesys_cli.command_errors import UsageError

FILE = "totesys.toml"
# The options that a profile may have.
KEYS = (
    "source",
    "warehouse",
    "with",
    "model",
    "source-schema",
    "warehouse-schema",
    "name",
    "endpoint",
    "catalog",
    "namespace",
)
_FORM = 'Write [profiles.NAME] with lines such as warehouse = "postgresql://…".'


def find_config(folder: Path) -> Path | None:
    """The nearest `totesys.toml` in `folder` or above it; None if there is none."""
    return next((file for one in (folder, *folder.parents) if (file := one / FILE).is_file()), None)


def read_profile(file: Path, profile: str | None) -> dict[str, str]:
    """The options of a profile; without a name those of the file's default. Raises UsageError."""
    try:
        document = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"{file} cannot be read: {error.strerror}. Correct --config or the file.") from None
    except UnicodeDecodeError:
        raise UsageError(f"{file} is not UTF-8. Save it as UTF-8.") from None
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{file} is not valid TOML: {error}. Correct it.") from None
    _require_known(file, "", document, ("profile", "profiles"))
    profiles = document.get("profiles", {})
    name = profile if profile is not None else document.get("profile", _only(profiles))
    if not isinstance(profiles, Mapping) or (name is not None and not isinstance(name, str)):
        raise UsageError(f"{file} has no profiles as they have to be. {_FORM}")
    if name is None:
        return {}
    found = profiles.get(name)
    if not isinstance(found, Mapping):
        known = ", ".join(profiles) or "none"
        raise UsageError(f"{file} has no profile {name!r}; it has {known}. Correct --profile or the file.")
    _require_known(file, f" of profile {name}", found, KEYS)
    for key, value in found.items():
        if not isinstance(value, str):
            raise UsageError(f"{file}: {key} of profile {name} is not a text. Put it in quotes.")
    return dict(found)


def default_map(command: Any, options: Mapping[str, str]) -> dict[str, Any]:
    """The options as the defaults of each command below `command`, which the environment and options override."""
    if hasattr(command, "commands"):
        return {name: default_map(inner, options) for name, inner in command.commands.items()}
    return dict(_defaults(command.params, options))


def _defaults(parameters: Collection[Any], options: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for parameter in parameters:
        option = parameter.opts[0].removeprefix("--")
        # The environment names another endpoint: that of the AWS clients.
        if option in options and not (option == "endpoint" and os.environ.get("AWS_ENDPOINT_URL")):
            yield parameter.name, options[option]


def _only(profiles: object) -> str | None:
    """The name of the only profile."""
    return next(iter(profiles)) if isinstance(profiles, Mapping) and len(profiles) == 1 else None


def _require_known(file: Path, where: str, table: Mapping[str, object], known: Collection[str]) -> None:
    for key in table:
        if key not in known:
            raise UsageError(f"{file}: {key!r}{where} is unknown. Use {', '.join(known)}.")
