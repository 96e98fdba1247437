"""The secrets of a composed stack: generated once, each file for the containers that need it."""

import secrets
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import quote

from totesys.stage_names import STAGES
from totesys_cli.command_errors import UsageError
from totesys_cli.local.emulator_access import Credentials
from totesys_cli.local.private_files import write_private

READER, LOADER, OWNER = "etl_reader", "etl_loader", "postgres"


def write_secrets(folder: Path, owner: str, reader: str, loader: str, token: str, webhook: str) -> list[Path]:
    """Write the files below `folder`, each readable by its owner alone.

    The arguments are three passwords and the trigger token; an existing or generated secret replaces an empty one.
    An empty alert webhook removes an existing one. Raises UsageError if the folder cannot be written, or a file in it
    cannot be read.
    """
    try:
        owner = _settle(folder / "postgres" / "password", owner)
        reader = _settle(folder / "owners" / "totesys_reader_password", reader)
        loader = _settle(folder / "owners" / "totesys_loader_password", loader)
        token = _settle(folder / "ingest" / "totesys_trigger_token", token)
        written = [_write(folder / name, text) for name, text in _derived(owner, reader, loader, token)]
        written += _write_webhook(folder, webhook)
        key = folder / "aws" / "credentials"
        if not key.exists():
            written.append(_write(key, _aws_file(Credentials())))
    except OSError as error:
        raise UsageError(
            f"{error.filename or folder} cannot be written: {error.strerror}. Name another folder."
        ) from error
    except UnicodeDecodeError as error:
        raise UsageError(f"A secret in {folder} is not UTF-8. Remove it, or name another folder.") from error
    return written


def read_secrets(folder: str, environment: Mapping[str, str]) -> dict[str, str]:
    """The variables in a folder's files, as a service reads them, without those that `environment` has.

    Raises UsageError if the folder cannot be read.
    """
    try:
        files = {file.name.upper(): file for file in Path(folder).iterdir() if file.name.startswith("totesys_")}
        return {name: file.read_text().strip() for name, file in files.items() if name not in environment}
    except (OSError, ValueError) as error:
        raise UsageError(f"TOTESYS_SECRETS_DIR: {folder} cannot be read: {error}. Mount the secrets there.") from error


def _derived(owner: str, reader: str, loader: str, token: str) -> Iterator[tuple[str, str]]:
    source, warehouse = _dsn("source", READER, reader), _dsn("warehouse", LOADER, loader)
    yield "ingest/totesys_source_dsn", source
    yield "transform/totesys_trigger_token", token
    yield "load/totesys_trigger_token", token
    yield "load/totesys_source_dsn", source
    yield "load/totesys_warehouse_dsn", warehouse
    yield "owners/totesys_source_dsn", _dsn("source", OWNER, owner)
    yield "owners/totesys_warehouse_dsn", _dsn("warehouse", OWNER, owner)


def _write_webhook(folder: Path, webhook: str) -> Iterator[Path]:
    for service in STAGES:
        file = folder / service / "totesys_alert_webhook"
        if webhook:
            yield _write(file, webhook)
        else:
            file.unlink(missing_ok=True)


def _dsn(server: str, role: str, password: str) -> str:
    database = {"source": "totesys", "warehouse": "warehouse"}[server]
    return f"postgresql://{role}:{quote(password, safe='')}@{server}:5432/{database}"


def _settle(file: Path, chosen: str) -> str:
    """Write the secret: the chosen one, else the existing one, else a generated one."""
    text = chosen or (file.read_text().strip() if file.exists() else "") or secrets.token_urlsafe(24)
    _write(file, text)
    return text


def _write(file: Path, text: str) -> Path:
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_private(file, f"{text}\n")
    return file


def _aws_file(key: Credentials) -> str:
    return f"[default]\naws_access_key_id = {key.access_key}\naws_secret_access_key = {key.secret_key}"
