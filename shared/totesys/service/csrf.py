"""Whom a service answers to when a browser asks: to pages of its own, under its own address."""

import socket
from collections.abc import Callable, Collection, Mapping
from ipaddress import ip_address
from urllib.parse import urlsplit

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

    What says nothing of a site passes: it is no browser's. `names` are those that the service has; `refuse` makes the
    answer.
    """

    def __init__(self, app: ASGIApp, refuse: Callable[[Request, Exception], Response], names: Collection[str]) -> None:
        self._app = app
        self._refuse = refuse
        self._names = names

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and (fault := self._fault(Headers(scope=scope), scope["method"])):
            await self._refuse(Request(scope), HTTPException(403, fault))(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    def _fault(self, headers: Mapping[str, str], method: str) -> str | None:
        return host_fault(headers, self._names) or (None if method in _SAFE else site_fault(headers))


def own_names(service: str) -> frozenset[str]:
    """The names of a service that nobody outside its network can give to an address: its own, and its machine's."""
    return frozenset((service, socket.gethostname().lower()))


def host_fault(headers: Mapping[str, str], names: Collection[str]) -> str | None:
    """Why a request's Host is refused; None if it is not.

    Whoever lets a name of their own point at a service could make a browser that reaches it read what it says as if it
    were theirs (DNS rebinding), whether or not a token guards the rest. So a service answers to addresses, which cannot
    be pointed elsewhere, to `localhost`, and to `names`. What names no host is no browser.
    """
    host = headers.get("host")
    if host is None or _is_own(host, names):
        return None
    return (
        "This service answers to its address, to localhost and to its own names, and this is another name. "
        "If its network gives it this one, add it to TOTESYS_ALLOWED_HOSTS."
    )


def _is_own(host: str, names: Collection[str]) -> bool:
    try:
        name = urlsplit(f"//{host}").hostname or ""
        if name == "localhost" or name.endswith(".localhost") or name in names:
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
