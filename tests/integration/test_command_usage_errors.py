"""A wrong argument of any command is an error in one sentence: never a traceback, and nothing on standard output."""

import json
import os
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from tests.command import Command, Ended
from tests.models.library import MODEL
from tests.pipeline import Pipeline
from tests.processes import LIBRARY
from tests.sources import make_library
from tests.unit.test_command_help import COMMANDS
from totesys_cli.local.emulator import Emulator
from totesys_cli.local.ports import LOOPBACK
from totesys_cli.local.reachable import ReachablePostgres
from totesys_infra import data_plane_template

NAME = "test-usage"
LONG = "x" * 300
HUGE = "9" * 30
DSNS = ("nope", "postgresql://u:s3cr@h:port/db", f"postgresql://{LOOPBACK}:1/d")
PERIODS = ("", "5x", "0s")
COUNTS = ("", "0", "x")
FILES = ("/proc/nope/x", "/dev/null/x")
NUMBERS = ("", "nan", "-1")

# Values that cannot work, by the parameter's name.
WRONG: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("source", "warehouse", "dsn", "other"), DSNS),
    **dict.fromkeys(("every", "timeout", "keep", "remove_after"), PERIODS),
    **dict.fromkeys(("limit", "run", "first", "last", "version"), COUNTS),
    **dict.fromkeys(("rate", "scale", "seconds"), NUMBERS),
    **dict.fromkeys(("stage", "mode", "from_stage"), ("", "nope")),
    **dict.fromkeys(("state", "folder", "password_file"), FILES),
    **dict.fromkeys(("log", "file"), (*FILES, "/dev")),
    "endpoint": ("my stack", "http://h:port"),
    "name": ("", "a b"),
    **dict.fromkeys(("model", "module"), ("", ".x", "models/shop.py", "broken")),
    "seed": ("", "x", "1.5"),
    "port": ("", "-1", "65535", "x"),
    "day": ("yesterday", "2024-02-30"),
    "keys": ("", "book", "book=x", f"book={HUGE}"),
    "table": ("nope", 'x"y', LONG),
    "message": ("", "nope"),
    "ids": ("nope",),
    "catalog": ("nope", "sqlite:////proc/nope/x.sqlite"),
    "dialect": ("", "nope"),
    "margin": ("", "-1", "x"),
    "as_of": ("nope", "2024-02-30"),
    "fact": ("nope",),
    "fault": ("", "nope"),
}
# Values that are unusual, or that name nothing: no error of ours either.
ODD: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("run", "first", "last", "version", "limit", "seed"), (HUGE,)),
    **dict.fromkeys(("source_schema", "schema", "warehouse_schema"), ("nope", 'x"y', LONG)),
    "key": ("", "x", HUGE, "\u202e"),
}
# Flags, and texts that mean what they say.
ANYTHING = {"json", "once", "sweep", "strict", "repair", "check", "watch", "quiet", "verify", "wait", "yes",
            "reset_passwords", "reset_password", "reader_password", "loader_password", "owner_password",
            "trigger_token", "lakehouse", "namespace", "base",
            "alert_webhook"}  # fmt: skip
# A run that starts is no wrong call.
STARTS = {("run", "seed"), ("demo", "seed"), ("run", "source_schema"), ("run", "warehouse_schema")}
# The name of a drafted model is any text.
STARTS |= {("model", "name")}
# Without --lakehouse no catalog is opened: the variable may be set for other commands.
STARTS |= {("verify", "catalog"), ("compare", "catalog")}


@dataclass(frozen=True)
class Stand:
    """A loaded library, and the command for it."""

    totesys: Command
    valid: dict[str, str]

    def call(self, words: tuple[str, ...], name: str, value: str) -> Ended:
        """Call a command with one value, and valid ones for what else it requires."""
        command, arguments = COMMANDS[words], []
        for parameter in command.params:
            given = value if parameter.name == name else self.valid.get(parameter.name)
            if given is None:
                assert not parameter.required or parameter.envvar in self.totesys.settings, parameter.name
            elif parameter.param_type_name == "argument":
                # What begins with a dash is a value here.
                arguments.append(given)
            else:
                arguments.insert(0, f"{parameter.opts[0]}={given}")
        options = [argument for argument in arguments if argument.startswith("--")]
        plain = [argument for argument in arguments if argument not in options]
        return self.totesys(*words, *options, "--", *plain)


@pytest.fixture(scope="module")
async def stand(
    postgres: ReachablePostgres, emulator: Emulator, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Stand]:
    source = await make_library(postgres.create_database("usage_source"))
    warehouse = postgres.create_database("usage_warehouse")
    plane = emulator.apply(data_plane_template(), NAME)
    async with Pipeline(MODEL, plane, source, warehouse) as pipeline:
        await pipeline.tick()
    folder = tmp_path_factory.mktemp("usage")
    (folder / "broken.py").write_text("raise RuntimeError('This model is broken.')")
    totesys = Command(folder)
    totesys.settings = {
        **LIBRARY,
        "PYTHONPATH": f"{folder}{os.pathsep}{LIBRARY['PYTHONPATH']}",
        "TOTESYS_READER_PASSWORD": "r",
        "TOTESYS_LOADER_PASSWORD": "l",
    }
    place = {"endpoint": plane.endpoint_url, "name": NAME}
    databases = {"source": source, "warehouse": warehouse, "dsn": warehouse, "other": warehouse}
    keys = {
        "first": "1",
        "last": "1",
        "stage": "load",
        "table": "fact_loan",
        "key": "1",
        "message": "x",
        "dialect": "duckdb",
    }
    yield Stand(totesys, {**place, **databases, **keys, "dialect": "duckdb"})
    for name in ("usage_source", "usage_warehouse"):
        postgres.drop_database(name)


def cases(values: dict[str, tuple[str, ...]]) -> Iterator[Any]:
    """Each command with each of its parameters that has such values."""
    for words, command in COMMANDS.items():
        for parameter in command.params:
            if parameter.name in values and (words[0], parameter.name) not in STARTS:
                yield pytest.param(words, parameter.name, id=f"{' '.join(words)} {parameter.name}")


def test_every_parameter_of_every_command_is_tried() -> None:
    names = {parameter.name for command in COMMANDS.values() for parameter in command.params}
    assert names == WRONG.keys() | ODD.keys() | ANYTHING


@pytest.mark.parametrize(("words", "name"), list(cases(WRONG)))
def test_a_wrong_value_is_refused_in_a_sentence(words: tuple[str, ...], name: str, stand: Stand) -> None:
    for value in WRONG[name]:
        ended = stand.call(words, name, value)
        if words == ("doctor",) and ended.code == 1:
            # A database or a data plane that does not respond is a finding.
            assert "fail  " in ended.out
            continue
        if (words, name) == (("model", "check"), "module"):
            # A module that declares nothing is a finding, too.
            assert ended.code == 1
            assert ended.out.startswith("TOTESYS_MODEL is ")
            continue
        assert (ended.code, ended.out) == (2, ""), (value, ended.words)
        assert "Traceback" not in ended.err
        assert "s3cr" not in ended.err
        assert ended.err.startswith("totesys: ") == (ended.err.count("\n") == 1), value


@pytest.mark.long
@pytest.mark.parametrize(("words", "name"), list(cases(ODD)))
def test_an_unusual_value_breaks_nothing(words: tuple[str, ...], name: str, stand: Stand) -> None:
    for value in ODD[name]:
        ended = stand.call(words, name, value)
        assert "Traceback" not in ended.words, value
        assert "Unexpected" not in ended.words, (value, ended.words)


AWS_VARIABLES = {
    "AWS_PROFILE": "nobody",
    "AWS_DEFAULT_REGION": "x y",
    "AWS_ENDPOINT_URL": "my stack",
    "AWS_CA_BUNDLE": "/nope",
    "AWS_CONFIG_FILE": "/dev",
}
DATA_PLANE = [words for words, command in COMMANDS.items() if {"endpoint", "name"} <= {p.name for p in command.params}]


@pytest.mark.long
@pytest.mark.parametrize("words", [("status",), ("dlq", "list"), ("doctor",), ("local", "data-plane")], ids=" ".join)
@pytest.mark.parametrize("variable", AWS_VARIABLES)
def test_a_wrong_setting_of_aws_is_said_in_a_sentence(
    words: tuple[str, ...], variable: str, stand: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-2")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv(variable, AWS_VARIABLES[variable])
    local = words[0] == "local"
    without = Stand(stand.totesys, {key: value for key, value in stand.valid.items() if local or key != "endpoint"})
    ended = without.call(words, "name", NAME)
    assert "Traceback" not in ended.words
    assert "Unexpected" not in ended.words
    if not local:
        assert ended.code == (1 if words == ("doctor",) else 2), ended.words


class NotAws(BaseHTTPRequestHandler):
    """Another web server."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"<html>Hello")

    do_POST = do_HEAD = do_PUT = do_GET  # noqa: N815

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def other_server() -> Iterator[str]:
    with HTTPServer((LOOPBACK, 0), NotAws) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://{LOOPBACK}:{server.server_port}"
        server.shutdown()


@pytest.mark.parametrize("words", DATA_PLANE, ids=" ".join)
def test_another_web_server_is_not_taken_for_a_lake(words: tuple[str, ...], other_server: str, stand: Stand) -> None:
    ended = stand.call(words, "endpoint", other_server)
    assert "Traceback" not in ended.words
    assert "Unexpected" not in ended.words
    assert ended.code or words == ("verify",), ended.words


@pytest.mark.parametrize("folder", ["/nope", "/dev/null", ""])
def test_secrets_that_cannot_be_read_are_said(folder: str, stand: Stand, tmp_path: Path) -> None:
    command = Command(tmp_path)
    command.settings = {"TOTESYS_SECRETS_DIR": folder}
    ended = command("runs", "--endpoint", stand.valid["endpoint"], "--name", NAME, "--json")
    if folder:
        assert (ended.code, ended.err.startswith("totesys: TOTESYS_SECRETS_DIR")) == (2, True), ended.words
    else:
        assert json.loads(ended.out)


def test_an_argument_that_is_not_text_is_said(stand: Stand) -> None:
    ended = stand.totesys("trace", "fact_loan", os.fsdecode(b"\xff"), "--warehouse", stand.valid["warehouse"])
    assert (ended.code, "is not UTF-8" in ended.err) == (2, True), ended.words


def test_an_error_of_ours_is_reported_with_a_file_that_has_the_traceback(stand: Stand, tmp_path: Path) -> None:
    module = tmp_path / "defective.py"
    module.write_text("from tests.models.library import MODEL\nMODEL.__dict__['tables'] = None\n")
    command = Command(tmp_path)
    command.settings = {**LIBRARY, "PYTHONPATH": f"{tmp_path}{os.pathsep}{LIBRARY['PYTHONPATH']}"}
    databases = ("--source", stand.valid["source"], "--warehouse", stand.valid["warehouse"])
    ended = command("verify", *databases, "--model", "defective")
    assert (ended.code, ended.err.count("\n"), "Traceback" in ended.err) == (1, 1, False), ended.words
    (report,) = command.temporary.glob("totesys-error-*.txt")
    assert str(report) in ended.err
    assert "Traceback" in report.read_text()
