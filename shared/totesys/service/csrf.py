"""Protection from requests that a page of another site makes a browser send (CSRF and DNS rebinding)."""

import socket
from collections.abc import Callable, Collection, Mapping
from ipaddress import ip_address
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

# These change nothing, and another site's page can't read their answers.
_SAFE_METHODS = {"GET", "HEAD", "OPTIONS", "TRACE"}
_SAME_SITE = {"same-origin", "none"}


class SameSiteOnly:
    """Refuses with 403 what another site's page sends, before the app sees it.

    A request without a browser's headers passes. `names` are the service's own host names; `refuse` makes the answer.
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
        return host_fault(headers, self._names) or (None if method in _SAFE_METHODS else site_fault(headers))


def own_names(service: str) -> frozenset[str]:
    """The names that nobody outside its network can point at another address: the service's and its machine's."""
    return frozenset((service, socket.gethostname().lower()))


def host_fault(headers: Mapping[str, str], names: Collection[str]) -> str | None:
    """Why a request's Host is refused; None if it is accepted.

    A site that points its own name at a service could have a browser read the answers as if they were the site's (DNS
    rebinding), with or without a token. So a service accepts addresses, which can't be pointed elsewhere, `localhost`
    and `names`. A request without a Host is not a browser's.
    """
    host = headers.get("host")
    if host is None or _is_own(host, names):
        return None
    return (
        "The service does not accept this host name: it answers to its address, to localhost and to its own names. "
        "If its network calls it by this name, add the name to TOTESYS_ALLOWED_HOSTS."
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
    """Why a request counts as another site's; None if it is the service's own page's, or not a browser's."""
    origin = headers.get("origin")
    same_site = headers.get("sec-fetch-site", "none") in _SAME_SITE
    own = same_site and (origin is None or _is_of(origin, headers.get("host")))
    return None if own else "Another site sent this request."


def form_fault(headers: Mapping[str, str]) -> str | None:
    """Why a request doesn't come from a form of the service's own pages; None if it does."""
    if "sec-fetch-site" not in headers and "origin" not in headers:
        return "The browser does not say which site sent this request. From a script, use POST /trigger."
    return site_fault(headers)


def _is_of(origin: str, host: str | None) -> bool:
    try:
        return bool(host) and urlsplit(origin).netloc == host
    except ValueError:
        return False
