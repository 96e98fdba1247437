"""A DSN can ask for TLS up to verify-full; what cannot be verified is refused with what to mend."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from tests.authority import Authority, make_authority
from tests.command import Command
from tests.models.library import MODEL
from tests.pipeline import Pipeline
from tests.processes import LIBRARY
from tests.proxy import Proxy, in_front_of
from tests.sources import make_library, value, verified
from totesys.errors import SettingsError
from totesys.postgres import connect
from totesys_cli.local.data_plane import DataPlane

pytestmark = pytest.mark.postgres


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return make_authority(tmp_path, "ca")


@pytest.fixture
async def source(database: Callable[[], str], authority: Authority) -> AsyncIterator[Proxy]:
    """The library's source behind TLS."""
    async with in_front_of(await make_library(database()), authority.server("127.0.0.1")) as proxy:
        yield proxy


async def refused(dsn: str) -> str:
    with pytest.raises(SettingsError) as raised:
        async with connect("The source", dsn):
            pass
    return str(raised.value)


async def test_all_connections_of_the_pipeline_are_verified(
    source: Proxy, database: Callable[[], str], authority: Authority, data_plane: DataPlane
) -> None:
    asked = {"sslmode": "verify-full", "sslrootcert": authority.file}
    async with in_front_of(database(), authority.server("127.0.0.1")) as warehouse:
        dsns = source.address(**asked), warehouse.address(**asked)
        async with Pipeline(MODEL, data_plane, *dsns) as pipeline:
            await pipeline.tick()
            assert await verified(*dsns, MODEL)
        assert source.encrypted > 2
        assert warehouse.encrypted > 1


async def test_the_command_verifies_too(
    source: Proxy,
    database: Callable[[], str],
    authority: Authority,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PYTHONPATH", LIBRARY["PYTHONPATH"])
    asked = {"sslmode": "verify-full", "sslrootcert": authority.file}
    async with in_front_of(database(), authority.server("127.0.0.1")) as warehouse:
        dsns = ("--source", source.address(**asked), "--warehouse", warehouse.address(**asked))
        with Command.that_leaves_nothing(tmp_path) as totesys:
            ran = await asyncio.to_thread(totesys, "run", *dsns, "--model", "tests.models.library", "--once")
            assert ran.code == 0, ran.words


@pytest.mark.parametrize("mode", ["disable", "prefer", "require"])
async def test_less_than_verifying_works_too(source: Proxy, mode: str) -> None:
    assert await value(source.address(sslmode=mode), "SELECT count(*) FROM book") == 3
    assert bool(source.encrypted) == (mode != "disable")


@pytest.mark.parametrize("mode", ["verify-ca", "verify-full"])
async def test_a_certificate_of_another_authority_is_refused(source: Proxy, tmp_path: Path, mode: str) -> None:
    other = make_authority(tmp_path, "other")
    said = await refused(source.address(sslmode=mode, sslrootcert=other.file))
    assert f"The source at 127.0.0.1:{source.port}/" in said
    assert "certificate that does not verify" in said
    assert "Name the file of its CA as sslrootcert" in said


async def test_a_certificate_of_another_host_is_refused_by_verify_full_alone(
    source: Proxy, authority: Authority
) -> None:
    at_localhost = source.address("localhost", sslmode="verify-ca", sslrootcert=authority.file)
    assert await value(at_localhost, "SELECT 1") == 1
    said = await refused(source.address("localhost", sslmode="verify-full", sslrootcert=authority.file))
    assert "localhost" in said
    assert "the host as the certificate does" in said


async def test_a_server_without_tls_is_refused_where_it_is_asked_for(
    database: Callable[[], str], authority: Authority
) -> None:
    for asked in ("sslmode=require", f"sslmode=verify-full&sslrootcert={authority.file}"):
        said = await refused(f"{database()}?{asked}")
        assert "has no TLS, which the DSN asks for. Turn it on there" in said


@pytest.mark.parametrize("setting", ["sslrootcert", "sslcrl", "sslcert", "sslkey"])
async def test_a_file_that_is_not_there_is_named(source: Proxy, authority: Authority, setting: str) -> None:
    files = {"sslrootcert": authority.file, setting: "/nowhere/file.pem"}
    said = await refused(source.address(sslmode="verify-full", **files))
    assert f"{setting} names /nowhere/file.pem, which cannot be read: No such file" in said


async def test_a_file_that_holds_no_certificate_is_refused(source: Proxy, tmp_path: Path) -> None:
    empty = tmp_path / "empty.pem"
    await asyncio.to_thread(empty.touch)
    said = await refused(source.address(sslmode="verify-full", sslrootcert=str(empty)))
    assert "cannot be spoken to with TLS" in said
    assert "Correct the DSN's ssl settings" in said
