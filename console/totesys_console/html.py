"""Pages as HTML, with the headers that let them load nothing from elsewhere."""

from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from fastapi import Request, Response
from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.exceptions import HTTPException

from totesys_console.assets import ASSETS

_SELF_ONLY = "; ".join(
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
    "Content-Security-Policy": _SELF_ONLY,
    "Cache-Control": "no-store",
    # Not less: a form would be sent with the origin `null`.
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_templates = Environment(
    loader=PackageLoader("totesys_console"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    auto_reload=False,
)
_templates.globals["assets"] = {name: f"/console/static/{asset.name}" for name, asset in ASSETS.items()}


def html(template: str, status: int = HTTPStatus.OK, **values: Any) -> Response:
    """A page. All that is put into it is escaped."""
    body = _templates.get_template(template).render(values)
    return Response(body, status, _HEADERS, "text/html; charset=utf-8")


def refusal(service: str, status: int, fault: str) -> Response:
    """The page that says why there is no other."""
    return html("refusal.html", status, service=service, title=HTTPStatus(status).phrase, fault=fault)


def pages_or_else(
    service: str, otherwise: Callable[[Request, Exception], Response]
) -> Callable[[Request, Exception], Response]:
    """What answers a refused request: a page where a page was asked for, else what `otherwise` makes."""

    def answer(request: Request, error: Exception) -> Response:
        path = request.scope["path"]
        if not isinstance(error, HTTPException) or not (path == "/" or path.startswith("/console/")):
            return otherwise(request, error)
        page = refusal(service, error.status_code, error.detail)
        page.headers.update(error.headers or {})
        return page

    return answer
