"""A wrong setting is named, and a secret one is never shown."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from totesys.errors import SettingsError
from totesys.service_settings import ServiceSettings, read_settings
from totesys_ingest.ingest_settings import IngestSettings
from totesys_lakehouse.lakehouse_settings import LakehouseSettings
from totesys_load.load_settings import LoadSettings
from totesys_transform.transform_settings import TransformSettings

COMMON = {
    "TOTESYS_INGEST_BUCKET": "in",
    "TOTESYS_PROCESSED_BUCKET": "out",
    "TOTESYS_QUEUE_URL": "https://queue",
    "TOTESYS_DLQ_URL": "https://dead",
}
SECRET = "s3cret-dsn-or-token"
ALL = {
    **COMMON,
    "TOTESYS_SOURCE_DSN": f"postgresql://u:{SECRET}@h/d",
    "TOTESYS_WAREHOUSE_DSN": f"postgresql://u:{SECRET}@h/d",
    "TOTESYS_LAKEHOUSE_CATALOG_DSN": f"postgresql://u:{SECRET}@h/d",
    "TOTESYS_TRIGGER_TOKEN": SECRET,
}
KINDS = [IngestSettings, TransformSettings, LoadSettings, LakehouseSettings]


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name, value in ALL.items():
        monkeypatch.setenv(name, value)
    return monkeypatch


@pytest.mark.parametrize("kind", KINDS)
def test_every_missing_setting_is_named_at_once(monkeypatch: pytest.MonkeyPatch, kind: type[ServiceSettings]) -> None:
    for name in ALL:
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(SettingsError) as caught:
        read_settings(kind)
    required = {f"TOTESYS_{name.upper()}" for name, field in kind.model_fields.items() if field.is_required()}
    assert set(COMMON) <= required
    assert all(f"{name}: Field required" in str(caught.value) for name in required)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("TOTESYS_PORT", "65536"),
        ("TOTESYS_PORT", "http"),
        ("TOTESYS_MAX_RECEIVES", "0"),
        ("TOTESYS_VISIBILITY", "soon"),
        ("TOTESYS_PART_BYTES", "1000"),
        ("TOTESYS_CONNECTIONS", "0"),
    ],
)
def test_a_setting_that_cannot_be_used_is_named(environment: pytest.MonkeyPatch, name: str, value: str) -> None:
    environment.setenv(name, value)
    with pytest.raises(SettingsError, match=name):
        read_settings(IngestSettings)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.1.2.3", "service.internal"])
def test_without_a_token_a_service_listens_on_loopback_only(environment: pytest.MonkeyPatch, host: str) -> None:
    environment.setenv("TOTESYS_HOST", host)
    assert read_settings(TransformSettings).host == host
    environment.delenv("TOTESYS_TRIGGER_TOKEN")
    with pytest.raises(SettingsError, match=r"TOTESYS_HOST .* TOTESYS_TRIGGER_TOKEN"):
        read_settings(TransformSettings)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_on_loopback_no_token_is_needed(environment: pytest.MonkeyPatch, host: str) -> None:
    environment.delenv("TOTESYS_TRIGGER_TOKEN")
    environment.setenv("TOTESYS_HOST", host)
    assert read_settings(TransformSettings).trigger_token is None


@pytest.mark.parametrize("kind", KINDS)
def test_a_secret_is_never_shown(environment: pytest.MonkeyPatch, kind: type[ServiceSettings]) -> None:
    settings = read_settings(kind)
    assert SECRET not in f"{settings!r} {settings} {settings.model_dump()} {settings.model_dump_json()}"
    environment.setenv("TOTESYS_PORT", "none")
    with pytest.raises(SettingsError) as caught:
        read_settings(kind)
    assert SECRET not in str(caught.value)
    # The original error shows its input.
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


def test_settings_do_not_change(environment: pytest.MonkeyPatch) -> None:
    settings = read_settings(TransformSettings)
    with pytest.raises(ValidationError):
        settings.port = 1


@pytest.fixture
def mounted(environment: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A folder of secrets that are not in the environment."""
    for name in ("TOTESYS_SOURCE_DSN", "TOTESYS_TRIGGER_TOKEN"):
        environment.delenv(name)
        (tmp_path / name.lower()).write_text(f"mounted-{SECRET}\n")
    environment.setenv("TOTESYS_SECRETS_DIR", str(tmp_path))
    return tmp_path


def test_a_secret_may_come_from_a_file_without_its_line_end(mounted: Path) -> None:
    settings = read_settings(IngestSettings)
    assert settings.source_dsn.get_secret_value() == f"mounted-{SECRET}"
    assert settings.trigger_token is not None
    assert settings.trigger_token.get_secret_value() == f"mounted-{SECRET}"


def test_the_environment_wins_over_a_file(mounted: Path, environment: pytest.MonkeyPatch) -> None:
    environment.setenv("TOTESYS_SOURCE_DSN", "given")
    assert read_settings(IngestSettings).source_dsn.get_secret_value() == "given"


def test_a_file_may_be_a_link_as_kubernetes_makes_it(mounted: Path) -> None:
    file = mounted / "totesys_source_dsn"
    file.rename(mounted / "..data")
    file.symlink_to("..data")
    assert read_settings(IngestSettings).source_dsn.get_secret_value() == f"mounted-{SECRET}"


def test_a_missing_secrets_folder_is_named(mounted: Path, environment: pytest.MonkeyPatch) -> None:
    for path in (mounted / "nothing", mounted / "totesys_source_dsn"):
        environment.setenv("TOTESYS_SECRETS_DIR", str(path))
        with pytest.raises(SettingsError, match=f"TOTESYS_SECRETS_DIR: {path} is not a folder"):
            read_settings(IngestSettings)


def test_an_unreadable_secret_is_named(mounted: Path) -> None:
    file = mounted / "totesys_source_dsn"
    file.write_bytes(b"\xff" + SECRET.encode())
    with pytest.raises(SettingsError, match="TOTESYS_SECRETS_DIR: a file is not UTF-8 text") as caught:
        read_settings(IngestSettings)
    assert SECRET not in str(caught.value)
    file.unlink()
    with pytest.raises(SettingsError, match="TOTESYS_SOURCE_DSN: Field required"):
        read_settings(IngestSettings)
    file.mkdir()
    with pytest.raises(SettingsError, match=f'TOTESYS_SECRETS_DIR: .*"{file}" but found a directory'):
        read_settings(IngestSettings)


@pytest.mark.parametrize("name", ["TOTESYS_STATEMENT_TIMEOUT", "TOTESYS_LOCK_TIMEOUT"])
def test_a_time_limit_is_longer_than_nothing(environment: pytest.MonkeyPatch, name: str) -> None:
    environment.setenv(name, "PT0S")
    with pytest.raises(SettingsError, match=name):
        read_settings(LoadSettings)
