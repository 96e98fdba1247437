"""A service answers a browser's own pages and whatever is no browser, under its own address; nobody else."""

import pytest
from pydantic import SecretStr

from totesys.service.sites import host_fault, site_fault

HOST = "127.0.0.1:8080"


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"origin": f"http://{HOST}"},
        {"origin": f"https://{HOST}"},
        {"sec-fetch-site": "same-origin"},
        {"sec-fetch-site": "none"},
        {"sec-fetch-site": "same-origin", "origin": f"http://{HOST}"},
    ],
    ids=str,
)
def test_what_is_the_services_own_or_no_browsers_passes(headers: dict[str, str]) -> None:
    assert site_fault({"host": HOST, **headers}) is None


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://elsewhere.example"},
        {"origin": "http://127.0.0.1:9999"},
        {"origin": "null"},
        {"origin": ""},
        {"origin": "http://["},
        {"origin": HOST},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"sec-fetch-site": "what comes next"},
        {"sec-fetch-site": "cross-site", "origin": f"http://{HOST}"},
        {"sec-fetch-site": "same-origin", "origin": "https://elsewhere.example"},
    ],
    ids=str,
)
def test_what_another_sites_page_sends_does_not(headers: dict[str, str]) -> None:
    assert site_fault({"host": HOST, **headers})


def test_an_origin_does_not_pass_for_want_of_a_host() -> None:
    assert site_fault({"origin": "http://["})
    assert site_fault({"origin": "null", "host": ""})
    assert site_fault({"origin": f"http://{HOST}"})


@pytest.mark.parametrize("host", [HOST, "127.0.0.1", "[::1]:8080", "localhost", "localhost:1", "ingest.localhost:80"])
def test_a_service_without_a_token_answers_to_its_address(host: str) -> None:
    assert host_fault({"host": host}, None) is None


@pytest.mark.parametrize(
    "host", ["elsewhere.example", "127.0.0.1.elsewhere.example:80", "", "[", "notlocalhost", ":80"]
)
def test_and_to_no_name_that_anybody_can_point_there(host: str) -> None:
    assert host_fault({"host": host}, None)
    assert host_fault({"host": host}, SecretStr("")), "an empty token guards nothing"


@pytest.mark.parametrize("host", ["ingest.shop.internal:8080", "internal-shop-1.elb.amazonaws.com", "load:8080"])
def test_one_with_a_token_has_whatever_names_its_network_gives_it(host: str) -> None:
    assert host_fault({"host": host}, SecretStr("sesame")) is None


def test_a_health_check_that_names_no_host_is_no_browser() -> None:
    assert host_fault({}, None) is None
