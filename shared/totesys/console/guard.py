"""Who may press a button: nobody from another site, nobody without the token where one is set. Pure."""

from collections.abc import Mapping
from ipaddress import ip_address
from urllib.parse import urlsplit

from pydantic import SecretStr

from totesys.service.token import is_token


def host_fault(headers: Mapping[str, str], token: SecretStr | None) -> str | None:
    """Why a request's Host is refused; None if it is not.

    Without a token a service listens on loopback only. Whoever lets a name of their own point there could make a
    browser read what it says as if it were theirs (DNS rebinding); so only an address or `localhost` is answered to.
    """
    if token:
        return None
    name = urlsplit(f"//{headers.get('host', '')}").hostname or ""
    try:
        ip_address(name)
    except ValueError:
        if name != "localhost" and not name.endswith(".localhost"):
            return "This service has no token, so it answers only to its address or to localhost, not to another name."
    return None


def origin_fault(headers: Mapping[str, str]) -> str | None:
    """Why a request is not one that this page's own form makes; None if it is."""
    site, origin = headers.get("sec-fetch-site"), headers.get("origin")
    if site is not None and site != "same-origin":
        return "Another site has asked for this."
    if origin is not None and urlsplit(origin).netloc != headers.get("host"):
        return "Another site has asked for this."
    if site is None and origin is None:
        return "The browser does not say which site has asked for this. From a script, use POST /trigger."
    return None


def token_fault(given: str, token: SecretStr | None) -> str | None:
    """What is wrong with the token of a form; None if it is right, or none is set."""
    if not token or is_token(given.strip().encode(errors="replace"), token):
        return None
    return "This is not the trigger token." if given.strip() else "Give the trigger token."
