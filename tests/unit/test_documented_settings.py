"""What the documentation says of a setting is what a service takes: its examples, its defaults, and its limits."""

import re
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import pytest

from docs.build.settings_page import SERVICES
from tests.unit.test_settings import ALL
from totesys.errors import SettingsError
from totesys.service_settings import ServiceSettings, read_settings
from totesys_cli.durations import parse_period

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
PAGES = [ROOT / "README.md", ROOT / ".env.example", ROOT / "docker-compose.yml", *(ROOT / "docs").rglob("*.md")]
SET = re.compile(r"\b(TOTESYS_[A-Z_]+)=([^\s`'\"#]+)")
ROW = re.compile(r"^\| `(TOTESYS_\w+)` \| ([^|]+) \| ([^|]+) \|", re.MULTILINE)


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name, value in ALL.items():
        monkeypatch.setenv(name, value)
    return monkeypatch


class _BeyondLimit(Exception):
    """`5m` is a period, and longer than some may be."""


def _read(kind: type[ServiceSettings]) -> None:
    try:
        read_settings(kind)
    except SettingsError as error:
        if "Input should be" in str(error):
            raise _BeyondLimit from error
        raise


def owners(variable: str) -> list[type[ServiceSettings]]:
    """The services that read a variable."""
    return [kind for kind in SERVICES.values() if variable.removeprefix("TOTESYS_").lower() in kind.model_fields]


def documented() -> Iterator[tuple[str, str, str]]:
    """Each row of the services' tables: variable, type with limits, default."""
    yield from ROW.findall(PAGE.partition("## The command")[0])


def shown(value: str) -> str:
    return value.strip().strip("`").removesuffix("`")


def examples() -> Iterator[tuple[str, str]]:
    """Every value that a page sets or names, with its variable."""
    for path in PAGES:
        yield from SET.findall(path.read_text(encoding="utf-8"))
    periods = [variable for variable, kind, _ in documented() if kind.startswith("period")]
    for example in re.findall(r"`([^`]+)`", PAGE.partition("**period**")[2].partition("an option")[0]):
        yield from ((variable, example) for variable in periods)


def test_every_documented_default_is_taken_and_is_the_default(environment: pytest.MonkeyPatch) -> None:
    count = 0
    for variable, _, default in documented():
        if "`" not in default:
            continue
        count += 1
        for kind in owners(variable):
            name = variable.removeprefix("TOTESYS_").lower()
            environment.delenv(variable, raising=False)
            unset = getattr(read_settings(kind), name)
            environment.setenv(variable, shown(default))
            assert getattr(read_settings(kind), name) == unset, f"{variable}={shown(default)}"
            environment.delenv(variable)
    assert count > 15


@pytest.mark.parametrize(("variable", "value"), sorted(set(examples())))
def test_every_documented_example_of_a_setting_is_taken(
    environment: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    for kind in owners(variable):
        environment.setenv(variable, value)
        with suppress(_BeyondLimit):
            _read(kind)


@pytest.mark.parametrize("variable", [variable for variable, kind, _ in documented() if " at " in f" {kind}"])
def test_every_documented_limit_is_taken_and_nothing_beyond_it(environment: pytest.MonkeyPatch, variable: str) -> None:
    (limits,) = {kind for name, kind, _ in documented() if name == variable}
    found = re.findall(r"at (least|most) ([0-9.]+)( s)?", limits)
    assert len(found) == 2, "each has both"
    for side, number, unit in found:
        beyond = float(number) + (0.001 if unit else 1) * (1 if side == "most" else -1)
        for kind in owners(variable):
            environment.setenv(variable, number + unit)
            read_settings(kind)
            environment.setenv(variable, f"{beyond:.3f}{unit}" if unit else f"{beyond:.0f}")
            with pytest.raises(SettingsError, match=variable):
                read_settings(kind)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90", 90), ("90 s", 90), ("90s", 90), ("1.5", 1.5), ("5m", 300), ("1h", 3600), ("PT90S", 90), ("PT1H", 3600)],
)
def test_a_period_is_read_in_all_its_forms(environment: pytest.MonkeyPatch, text: str, seconds: float) -> None:
    environment.setenv("TOTESYS_RESYNC", text)
    for kind in SERVICES.values():
        assert read_settings(kind).resync == timedelta(seconds=seconds)


def test_an_option_of_the_command_takes_the_periods_that_the_page_says() -> None:
    said = re.findall(r"`([^`]+)`", PAGE.partition("of the command takes")[2].partition("\n")[0])
    assert [parse_period(text) for text in said] == [timedelta(seconds=30), timedelta(minutes=5), timedelta(hours=1)]


WRONG = [
    *(("RESYNC", text) for text in ("", "soon", "0", "-5", "-PT5S", "1e9", "nan", "inf", "5 d", "9999h", "٩٠", "90ss")),
    *(("FRESHNESS_EVERY", text) for text in ("0", "PT0S", "0.05", "2d", "P2D")),
    *(("LONG_POLL", text) for text in ("0", "21", "20.001", "PT1M")),
    *(("VISIBILITY", text) for text in ("0", "0.5", "-1", "12h1", "43201")),
    *(("SHUTDOWN_GRACE", text) for text in ("-1", "-PT1S", "121")),
    *(("STATEMENT_TIMEOUT", text) for text in ("0", "0.0001", "PT0.0009S", "P25D")),
    *(("LOCK_TIMEOUT", text) for text in ("0", "0.0001", "P25D")),
    *(("MAX_RECEIVES", text) for text in ("0", "-1", "1001", "five", "1.5", "9" * 5000)),
    *(("PORT", text) for text in ("-1", "65536", "http", "")),
    *(("ALLOWED_HOSTS", text) for text in ("a b", "http://a", "a:80", "*", "a,,b ,", ".a", "a.")),
    *((name, "") for name in ("MODEL", "INGEST_BUCKET", "PROCESSED_BUCKET", "QUEUE_URL", "DLQ_URL", "WAREHOUSE_DSN")),
    *(("WAREHOUSE_SCHEMA", text) for text in ("", "s" * 64)),
    *(("METRICS_NAMESPACE", text) for text in ("", "n" * 256, "two words", "naïve")),
]


@pytest.mark.parametrize(("name", "text"), WRONG)
def test_a_setting_beyond_its_limits_is_refused_by_name(environment: pytest.MonkeyPatch, name: str, text: str) -> None:
    environment.setenv(f"TOTESYS_{name}", text)
    with pytest.raises(SettingsError, match=rf"^TOTESYS_{name}: .*\. Set it and start again\.$"):
        read_settings(SERVICES["load"])
