"""No log line and no dead letter shows a row's value, however deep the error that quotes it."""

import asyncio
import io
import json
import logging
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import asyncpg
import polars as pl
import pyarrow as pa
import pyarrow.csv
import pytest
from pydantic import BaseModel, ValidationError

from totesys.errors import DataRefused
from totesys.log_events import LogEvent
from totesys.logs import configure_logs, logger
from totesys.redaction import safe_message
from totesys.service.retry import GiveUp, after_failure

SECRET = "Ada Lovelace"


CRASH = """
from totesys.logs import configure_logs
import asyncpg
configure_logs("load")
name = "".join(("Love", "lace"))
raise asyncpg.exceptions._base.DataError(name)
"""


class Person(BaseModel):
    born: int


def driver() -> None:
    fields = {"S": "ERROR", "C": "23502", "M": f'null value in "{SECRET}"', "D": f"Failing row contains ({SECRET}).",
              "H": SECRET, "W": SECRET, "q": SECRET}  # fmt: skip
    raise asyncpg.PostgresError.new(fields, query=SECRET)


def parameter() -> None:
    raise asyncpg.exceptions._base.DataError(f"invalid input for query argument $1: '{SECRET}'")


def polars_cast() -> None:
    pl.DataFrame({"name": [SECRET]}).select(pl.col("name").cast(pl.Int64))


def polars_enum() -> None:
    pl.Series([SECRET]).cast(pl.Enum(["x"]))


def arrow_columns() -> None:
    pyarrow.csv.read_csv(io.BytesIO(f"a,b\n1,2,{SECRET}\n".encode()))


def arrow_value() -> None:
    types = pyarrow.csv.ConvertOptions(column_types={"a": pa.int64()})
    pyarrow.csv.read_csv(io.BytesIO(f"a,b\n{SECRET},2\n".encode()), convert_options=types)


def arrow_scalar() -> None:
    pa.scalar(SECRET).cast(pa.int32())


def pydantic_field() -> None:
    Person.model_validate({"born": SECRET})


QUOTING = [driver, parameter, polars_cast, polars_enum, arrow_columns, arrow_value, arrow_scalar, pydantic_field]


def chained(fail: Callable[[], None]) -> None:
    try:
        fail()
    except Exception as error:
        raise RuntimeError("on top of it") from error


def while_handling(fail: Callable[[], None]) -> None:
    try:
        fail()
    except Exception:  # noqa: BLE001 - any of them
        raise ZeroDivisionError  # noqa: B904 - as where a handler fails itself


def grouped(fail: Callable[[], None]) -> None:
    try:
        fail()
    except Exception as error:  # noqa: BLE001 - any of them
        raise ExceptionGroup("several", [KeyError("other"), error])  # noqa: B904 - it shows up in both places


DEPTHS = [lambda fail: fail(), chained, while_handling, grouped]


pytestmark = pytest.mark.usefixtures("logs_left_as_they_were")


@pytest.mark.parametrize("fail", QUOTING)
@pytest.mark.parametrize("deep", DEPTHS)
def test_no_traceback_shows_a_value(
    capsys: pytest.CaptureFixture[str], fail: Callable[[], None], deep: Callable[[Callable[[], None]], None]
) -> None:
    configure_logs("load")
    # The frames quote this file's lines, in which the word stands as a name alone.
    with pytest.raises(Exception) as raised:  # noqa: PT011 - any of them
        deep(fail)
    logger("totesys.load").error("ours", exc_info=raised.value)
    # uvicorn and others log so.
    logging.getLogger("uvicorn.error").error("Exception in ASGI application\n", exc_info=raised.value)
    ours, theirs = map(json.loads, capsys.readouterr().out.splitlines())
    for line in (ours, theirs):
        assert SECRET not in str(line)
        assert fail.__name__ in line["exception"]


def test_the_error_that_ends_a_process_shows_no_value() -> None:
    ended = subprocess.run([sys.executable, "-c", CRASH], capture_output=True, text=True, timeout=60)
    (line,) = map(json.loads, ended.stdout.splitlines())
    assert (ended.returncode, ended.stderr, line["event"], line["kind"]) == (
        1,
        "",
        LogEvent.SERVICE_CRASHED,
        "DataError",
    )
    assert "Lovelace" not in ended.stdout


@pytest.mark.parametrize("fail", QUOTING)
def test_a_dead_letter_shows_no_value(fail: Callable[[], None]) -> None:
    with pytest.raises(Exception) as raised:  # noqa: PT011 - any of them
        fail()
    decision = after_failure(raised.value, 5, 5, 0.5)
    assert isinstance(decision, GiveUp)
    assert SECRET not in decision.reason
    assert type(raised.value).__name__ in decision.reason


async def test_a_task_that_nobody_awaited_shows_no_value(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs("load")
    context: dict[str, Any] = {"message": "Task exception was never retrieved"}
    future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    with pytest.raises(asyncpg.PostgresError) as raised:
        driver()
    future.set_exception(raised.value)
    asyncio.get_running_loop().default_exception_handler({**context, "future": future, "exception": raised.value})
    with pytest.raises(asyncpg.PostgresError):
        await future
    (line,) = map(json.loads, capsys.readouterr().out.splitlines())
    assert line["event"] == "Task exception was never retrieved"
    assert SECRET not in str(line)


def test_messages_without_values_are_shown() -> None:
    said = {}
    for fail in QUOTING:
        with pytest.raises(Exception) as raised:  # noqa: PT011 - any of them
            fail()
        said[fail.__name__] = safe_message(raised.value)
    assert said["driver"] == "SQLSTATE 23502; the message is not shown"
    assert said["polars_cast"] == "conversion from `str` to `i64` failed in column 'name'"
    assert said["arrow_columns"] == "CSV parse error: Expected 2 columns"
    assert said["arrow_value"] == "In CSV column #0: CSV conversion error to int64"
    assert safe_message(asyncpg.InterfaceError("connection is closed")) == "connection is closed"
    assert safe_message(DataRefused("The row 7.")) == "The row 7."
    assert safe_message(OSError(28, "No space left on device")) == "[Errno 28] No space left on device"


def test_the_parts_of_a_pydantic_error_are_not_its_input() -> None:
    with pytest.raises(ValidationError) as raised:
        pydantic_field()
    assert SECRET not in safe_message(raised.value)
