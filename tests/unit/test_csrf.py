"""A service answers a browser's own pages and whatever is no browser, under its own address; nobody else."""

import socket

import pytest

from totesys.service.csrf import host_fault, own_names, site_fault

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


NAMES = own_names("ingest") | {"ingest.shop.internal", "internal-shop-1.elb.amazonaws.com"}


@pytest.mark.parametrize("host", [HOST, "127.0.0.1", "[::1]:8080", "localhost", "localhost:1", "ingest.localhost:80"])
def test_a_service_answers_to_an_address_and_to_localhost(host: str) -> None:
    assert host_fault({"host": host}, ()) is None


@pytest.mark.parametrize("host", ["10.42.0.7:8080", "[fd00::7]:8080", "169.254.172.2"])
def test_a_balancers_health_check_asks_an_address(host: str) -> None:
    assert host_fault({"host": host}, ()) is None


@pytest.mark.parametrize(
    "host",
    ["ingest:8080", "INGEST", "ingest.shop.internal:8080", "Internal-Shop-1.elb.amazonaws.com", socket.gethostname()],
)
def test_and_to_its_own_name_and_those_that_it_is_told(host: str) -> None:
    assert host_fault({"host": host}, NAMES) is None


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:8080",
        "127.0.0.1.evil.example:80",
        "127.0.0.1.nip.io",
        "ingest.evil.example",
        "ingest.shop.internal.evil.example",
        "evilingest",
        "load:8080",
        "localhost.evil.example",
        "notlocalhost",
        "2130706433",
        "0x7f.1",
        "user@evil.example",
        "127.0.0.1@evil.example",
        "ingest, evil.example",
        "",
        "[",
        ":80",
    ],
)
def test_and_to_no_name_that_anybody_can_point_there(host: str) -> None:
    assert host_fault({"host": host}, NAMES)


def test_a_health_check_that_names_no_host_is_no_browser() -> None:
    assert host_fault({}, ()) is None
