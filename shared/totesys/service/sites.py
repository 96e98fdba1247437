"""Whom a service answers to when a browser asks: to pages of its own, under its own address."""

from collections.abc import Callable, Mapping
from ipaddress import ip_address
from urllib.parse import urlsplit

from pydantic import SecretStr
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

# These change nothing, and what they say no page of another site can read.
_SAFE = {"GET", "HEAD", "OPTIONS", "TRACE"}
_OWN = {"same-origin", "none"}


class OwnSite:
    """Refuses with 403, before the app sees it, what a page of another site has a browser send.

    What says nothing of a site passes: it is no browser's. `refuse` makes the answer.
    """

    def __init__(self, app: ASGIApp, refuse: Callable[[Request, Exception], Response], token: SecretStr | None) -> None:
        self._app = app
        self._refuse = refuse
        self._token = token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and (fault := self._fault(Headers(scope=scope), scope["method"])):
            await self._refuse(Request(scope), HTTPException(403, fault))(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    def _fault(self, headers: Mapping[str, str], method: str) -> str | None:
        return host_fault(headers, self._token) or (None if method in _SAFE else site_fault(headers))


def host_fault(headers: Mapping[str, str], token: SecretStr | None) -> str | None:
    """Why a request's Host is refused; None if it is not.

    Without a token a service listens on loopback only. Whoever lets a name of their own point there could make a
    browser read what it says as if it were theirs (DNS rebinding); so only an address or `localhost` is answered to.
    Where a token is set, a service has whatever names its network gives it.
    """
    host = headers.get("host")
    if token or host is None or _is_loopbacks_own(host):
        return None
    return "This service has no token, so it answers only to its address or to localhost, not to another name."


def _is_loopbacks_own(host: str) -> bool:
    try:
        name = urlsplit(f"//{host}").hostname or ""
        if name == "localhost" or name.endswith(".localhost"):
            return True
        ip_address(name)
    except ValueError:
        return False
    return True


def site_fault(headers: Mapping[str, str]) -> str | None:
    """Why a request is one of another site's page; None if it is the service's own, or no browser's."""
    origin = headers.get("origin")
    own = headers.get("sec-fetch-site", "none") in _OWN and (origin is None or _is_of(origin, headers.get("host")))
    return None if own else "Another site has asked for this."


def _is_of(origin: str, host: str | None) -> bool:
    try:
        return bool(host) and urlsplit(origin).netloc == host
    except ValueError:
        return False
