"""A DSN can ask for TLS up to verify-full; what cannot be verified is refused with what to mend."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from tests.authority import Authority, make_authority
from tests.command import Command
from tests.models.library import MODEL
from tests.pipeline import Pipeline
from tests.processes import LIBRARY
from tests.proxy import Proxy, in_front_of
from tests.sources import make_library, value, verified
from totesys.connection import connect
from totesys.errors import SettingsError
from totesys.tls import RDS_BUNDLE
from totesys_cli.local.local_data_plane import LocalDataPlane

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
    source: Proxy, database: Callable[[], str], authority: Authority, data_plane: LocalDataPlane
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
    assert "certificate that cannot be verified" in said
    assert "Name the file of its CA as sslrootcert" in said


async def test_a_certificate_of_another_host_is_refused_by_verify_full_alone(
    source: Proxy, authority: Authority
) -> None:
    at_localhost = source.address("localhost", sslmode="verify-ca", sslrootcert=authority.file)
    assert await value(at_localhost, "SELECT 1") == 1
    said = await refused(source.address("localhost", sslmode="verify-full", sslrootcert=authority.file))
    assert "localhost" in said
    assert "the host as in the certificate" in said


@pytest.mark.parametrize("asked", [{"sslmode": "verify-full"}, {"sslrootcert": "system"}])
async def test_without_a_file_the_systems_authorities_are_trusted(
    source: Proxy, authority: Authority, asked: dict[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    said = await refused(source.address(**asked))
    assert "certificate that cannot be verified" in said
    # What OpenSSL takes for the system's.
    monkeypatch.setenv("SSL_CERT_FILE", authority.file)
    assert await value(source.address(**asked), "SELECT count(*) FROM book") == 3
    assert "the host as in the certificate" in await refused(source.address("localhost", **asked))


async def test_a_host_of_rds_is_verified_by_the_authorities_of_rds(
    database: Callable[[], str], authority: Authority, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr("totesys.tls.RDS_BUNDLE", authority.file)
    names = {"shop.abc.eu-west-2.rds.amazonaws.com": True, "shop.abc.rds.amazonaws.com.evil.example": False}
    for name, trusted in names.items():
        async with in_front_of(database(), authority.server(name)) as proxy:
            dsn = proxy.address(name, hostaddr="127.0.0.1", sslmode="verify-full")
            if trusted:
                assert await value(dsn, "SELECT 1") == 1
            else:
                assert "certificate that cannot be verified" in await refused(dsn)


def test_the_bundle_holds_the_authorities_of_rds_and_nobody_else() -> None:
    pems = RDS_BUNDLE.read_bytes().split(b"-----BEGIN")[1:]
    held = [x509.load_pem_x509_certificate(b"-----BEGIN" + pem) for pem in pems]
    names = [str(one.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)[0].value) for one in held]
    assert all(re.fullmatch(r"Amazon RDS [a-z0-9-]+ Root CA (RSA2048|RSA4096|ECC384) G1", name) for name in names)
    assert {"eu-west-2", "eu-west-1", "us-east-1"} <= {name.split()[2] for name in names}
    for one in held:
        one.verify_directly_issued_by(one)
        # One that has nearly ended is replaced by make rds-bundle.
        assert one.not_valid_after_utc > datetime.now(UTC) + timedelta(days=366)


async def test_verify_ca_without_an_authority_is_refused(
    source: Proxy, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert "sslmode=verify-ca needs sslrootcert" in await refused(source.address(sslmode="verify-ca"))


async def test_a_key_that_others_may_read_is_refused(source: Proxy, authority: Authority, tmp_path: Path) -> None:
    own = authority.authority.issue_cert("client@example.org")
    certificate, key = tmp_path / "own.pem", tmp_path / "own.key"
    own.cert_chain_pems[0].write_to_path(str(certificate))
    own.private_key_pem.write_to_path(str(key))
    dsn = source.address(sslmode="require", sslcert=str(certificate), sslkey=str(key))
    key.chmod(0o644)
    assert "other users may read the key" in await refused(dsn)
    key.chmod(0o600)
    assert await value(dsn, "SELECT 1") == 1
    assert "has no key" in await refused(source.address(sslmode="require", sslcert=str(certificate)))


async def test_a_server_without_tls_is_refused_where_it_is_asked_for(
    database: Callable[[], str], authority: Authority
) -> None:
    for asked in ("sslmode=require", f"sslmode=verify-full&sslrootcert={authority.file}"):
        said = await refused(f"{database()}?{asked}")
        assert "has no TLS, which the DSN requires. Enable it on the server" in said


@pytest.mark.parametrize("setting", ["sslrootcert", "sslcrl", "sslcert", "sslkey"])
async def test_a_file_that_is_not_there_is_named(source: Proxy, authority: Authority, setting: str) -> None:
    files = {"sslrootcert": authority.file, setting: "/nowhere/file.pem"}
    said = await refused(source.address(sslmode="verify-full", **files))
    assert f"{setting} names /nowhere/file.pem, which cannot be read: No such file" in said


async def test_a_file_that_holds_no_certificate_is_refused(source: Proxy, tmp_path: Path) -> None:
    empty = tmp_path / "empty.pem"
    await asyncio.to_thread(empty.touch)
    said = await refused(source.address(sslmode="verify-full", sslrootcert=str(empty)))
    assert "cannot be reached with TLS" in said
    assert "Correct the TLS parameters" in said
