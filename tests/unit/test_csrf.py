"""A service answers its own pages and programs under its own names, and refuses other sites' pages."""

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
def test_requests_of_own_pages_and_of_no_browser_pass(headers: dict[str, str]) -> None:
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
def test_requests_of_another_sites_page_are_refused(headers: dict[str, str]) -> None:
    assert site_fault({"host": HOST, **headers})


def test_an_origin_without_a_host_does_not_pass() -> None:
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
def test_a_service_answers_to_its_own_and_configured_names(host: str) -> None:
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
def test_a_service_answers_to_no_other_name(host: str) -> None:
    assert host_fault({"host": host}, NAMES)


def test_a_request_without_a_host_is_not_a_browsers() -> None:
    assert host_fault({}, ()) is None
