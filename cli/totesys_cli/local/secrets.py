"""The secrets of a composed stack: made up once, each file for those containers alone that need it."""

import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from totesys_cli.errors import BadInput
from totesys_cli.local.credentials import Credentials
from totesys_cli.local.private import write_private

READER, LOADER, OWNER = "etl_reader", "etl_loader", "postgres"


@dataclass(frozen=True)
class Chosen:
    """What a person has set; what is empty is made up."""

    owner_password: str = ""
    reader_password: str = ""
    loader_password: str = ""
    trigger_token: str = ""


def write_secrets(folder: Path, chosen: Chosen) -> list[Path]:
    """Write the files below `folder`, each readable by its owner alone; what is there stays unless it is chosen anew.

    Raises BadInput if the folder can't be written.
    """
    try:
        owner = _settled(folder / "postgres" / "password", chosen.owner_password)
        reader = _settled(folder / "owners" / "totesys_reader_password", chosen.reader_password)
        loader = _settled(folder / "owners" / "totesys_loader_password", chosen.loader_password)
        token = _settled(folder / "ingest" / "totesys_trigger_token", chosen.trigger_token)
        written = []
        for name, text in _derived(owner, reader, loader, token):
            written.append(_written(folder / name, text))
        key = folder / "aws" / "credentials"
        if not key.exists():
            written.append(_written(key, _as_awss_file(Credentials())))
    except OSError as error:
        raise BadInput(
            f"{error.filename or folder} can't be written: {error.strerror}. Name another folder."
        ) from error
    return written


def read_secrets(folder: str, environment: Mapping[str, str]) -> dict[str, str]:
    """The variables that the files of a folder are, as a service reads them: those that aren't in the environment.

    Raises BadInput if the folder can't be read.
    """
    try:
        files = {file.name.upper(): file for file in Path(folder).iterdir() if file.name.startswith("totesys_")}
        return {name: file.read_text().strip() for name, file in files.items() if name not in environment}
    except (OSError, ValueError) as error:
        raise BadInput(f"TOTESYS_SECRETS_DIR: {folder} can't be read: {error}. Mount the secrets there.") from error


def _derived(owner: str, reader: str, loader: str, token: str) -> Iterator[tuple[str, str]]:
    source, warehouse = _dsn("source", READER, reader), _dsn("warehouse", LOADER, loader)
    yield "ingest/totesys_source_dsn", source
    yield "transform/totesys_trigger_token", token
    yield "load/totesys_trigger_token", token
    yield "load/totesys_source_dsn", source
    yield "load/totesys_warehouse_dsn", warehouse
    yield "owners/totesys_source_dsn", _dsn("source", OWNER, owner)
    yield "owners/totesys_warehouse_dsn", _dsn("warehouse", OWNER, owner)


def _dsn(server: str, role: str, password: str) -> str:
    database = {"source": "totesys", "warehouse": "warehouse"}[server]
    return f"postgresql://{role}:{quote(password, safe='')}@{server}:5432/{database}"


def _settled(file: Path, chosen: str) -> str:
    """The file's content, as chosen, as it is, or made up."""
    text = chosen or (file.read_text().strip() if file.exists() else "") or secrets.token_urlsafe(24)
    _written(file, text)
    return text


def _written(file: Path, text: str) -> Path:
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_private(file, f"{text}\n")
    return file


def _as_awss_file(key: Credentials) -> str:
    return f"[default]\naws_access_key_id = {key.access_key}\naws_secret_access_key = {key.secret_key}"
