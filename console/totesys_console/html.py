"""HTML pages, and the style and scripts that they load. They load nothing from other sites."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from http import HTTPStatus
from importlib.resources import files
from typing import Any

from fastapi import HTTPException, Request, Response
from jinja2 import Environment, PackageLoader, StrictUndefined

_POLICY = "; ".join(
    (
        "default-src 'none'",
        "style-src 'self'",
        "script-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "Cache-Control": "no-store",
    # With less, a form would be sent with the origin `null`.
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_CACHED_FOREVER = {"Cache-Control": "public, max-age=31536000, immutable", "X-Content-Type-Options": "nosniff"}
_TYPES = {"css": "text/css; charset=utf-8", "js": "text/javascript; charset=utf-8", "svg": "image/svg+xml"}


@dataclass(frozen=True)
class Asset:
    """A static file. Its name contains the hash of its content, so it can be cached forever."""

    name: str
    body: bytes
    media_type: str


def _asset(name: str) -> Asset:
    body = (files("totesys_console") / "static" / name).read_bytes()
    stem, _, suffix = name.rpartition(".")
    return Asset(f"{stem}-{sha256(body).hexdigest()[:12]}.{suffix}", body, _TYPES[suffix])


_ASSETS = {name: _asset(name) for name in ("console.css", "console.js", "docs.js", "icon.svg")}
_BY_HASHED_NAME = {asset.name: asset for asset in _ASSETS.values()}
_templates = Environment(
    loader=PackageLoader("totesys_console"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    auto_reload=False,
)
_templates.globals["assets"] = {name: f"/console/static/{asset.name}" for name, asset in _ASSETS.items()}


def static_file(name: str) -> Response:
    """The static file of this hashed name. Raises HTTPException if there is none."""
    asset = _BY_HASHED_NAME.get(name)
    if asset is None:
        raise HTTPException(404, f"There is no file {name}.")
    return Response(asset.body, media_type=asset.media_type, headers=_CACHED_FOREVER)


def render(template: str, status: int = HTTPStatus.OK, **values: Any) -> Response:
    """A page. All values are escaped."""
    body = _templates.get_template(template).render(values)
    return Response(body, status, _HEADERS, "text/html; charset=utf-8")


def error_page(service: str, status: int, detail: str) -> Response:
    """The page that reports an error."""
    return render("error.html", status, service=service, title=HTTPStatus(status).phrase, detail=detail)


def with_error_pages(
    service: str, answer: Callable[[Request, Exception], Response]
) -> Callable[[Request, Exception], Response]:
    """Turns the problem documents that `answer` makes into pages, for requests of pages."""

    def answer_with_page(request: Request, error: Exception) -> Response:
        response = answer(request, error)
        if not _wants_page(request, response.status_code):
            return response
        page = error_page(service, response.status_code, json.loads(bytes(response.body))["detail"])
        kept = {name: value for name, value in response.headers.items() if not name.startswith("content-")}
        page.headers.update(kept)
        return page

    return answer_with_page


def _wants_page(request: Request, status: int) -> bool:
    """Whether a request is for a page: its path is one of the console's, or it may be and comes from a browser."""
    path, route = request.scope["path"], request.scope.get("route")
    of_console = path == "/" or path.startswith("/console/")
    unknown = status == HTTPStatus.NOT_FOUND and route is None
    return of_console and (not unknown or "text/html" in request.headers.get("accept", ""))
