"""Options that cannot work are refused before anything is opened."""

import re

import pytest

from totesys_cli.command_errors import UsageError
from totesys_cli.durations import parse_period
from totesys_cli.options import DataPlaneLocation
from totesys_infra import data_plane_template


@pytest.mark.parametrize("name", ["", "a b", "../x", "ü", "X", "-a", "x" * 41, "a\n"])
def test_a_name_that_no_data_plane_has_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="not a valid name"):
        DataPlaneLocation(name)


@pytest.mark.parametrize("name", ["a", "totesys", "x" * 40, "7-a"])
def test_a_name_that_the_template_takes_is_taken(name: str) -> None:
    pattern = re.search('"AllowedPattern": "([^"]+)"', data_plane_template())
    assert pattern is not None
    assert re.fullmatch(pattern[1], name)
    assert DataPlaneLocation(name).bucket("ingest") == f"{name}-ingest"


@pytest.mark.parametrize(
    "endpoint",
    ["", "my stack", "127.0.0.1:80", "ftp://h", "http://", "http://h:port", "http://h:0", "http://h:99999", "http://[::1",
     "http://a b", "//h"],
)  # fmt: skip
def test_an_endpoint_that_is_not_a_url_is_refused(endpoint: str) -> None:
    with pytest.raises(UsageError, match=r"is not a URL\. Write http://HOST:PORT"):
        DataPlaneLocation("totesys", endpoint)


@pytest.mark.parametrize(
    "endpoint", ["http://127.0.0.1:4566", "https://s3.eu-west-2.amazonaws.com", "http://[::1]:80/"]
)
def test_a_url_is_an_endpoint(endpoint: str) -> None:
    assert DataPlaneLocation("totesys", endpoint).endpoint == endpoint


@pytest.mark.parametrize("text", ["", "5", "5x", "0s", "-1s", "1d", "٣s", "1234567h", "5 s", "1.5h"])
def test_a_period_without_a_whole_number_and_a_unit_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="not a valid period"):
        parse_period(text)
