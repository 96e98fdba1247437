"""Errors as problem documents (RFC 9457), and their description in the OpenAPI document."""

from collections.abc import Callable
from typing import Any, TypeAlias

from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi_problem.error import Problem, ServerProblem
from fastapi_problem.handler import ExceptionHandler, http_exception_handler_, new_exception_handler
from pydantic import BaseModel
from starlette.exceptions import HTTPException as StarletteHTTPException

from totesys.errors import BadRequest, TotesysError

MEDIA_TYPE = "application/problem+json"

Answer: TypeAlias = Callable[[Request, Exception], Response]


class ProblemDocument(BaseModel):
    """An error: `type` and `title` name its kind; `detail` says what happened and what to do."""

    type: str
    title: str
    status: int
    detail: str


class Fault(BaseModel):
    """One fault of a request: where it is, and what it is."""

    where: list[str]
    what: str


class InvalidDocument(ProblemDocument):
    """An invalid request, with its faults."""

    faults: list[Fault]


class NotReadyDocument(ProblemDocument):
    """The state of every dependency: `ok`, or the kind of its error."""

    dependencies: dict[str, str]


_ANSWERS = {
    400: "The body cannot be read",
    401: "The trigger token is missing or wrong",
    403: "Another site's page sent the request, or its Host is not one of the service's names",
    404: "Not found",
    408: "The body did not arrive in time",
    413: "The body is too large",
    415: "The body is not JSON",
    422: "The request is invalid",
    500: "Internal Server Error",
    503: "The service, or one of its dependencies, is unavailable",
}
_HEADERS = {401: {"WWW-Authenticate": {"required": True, "schema": {"type": "string"}}}}


def documented(*statuses: int, model: type[ProblemDocument] = ProblemDocument) -> dict[int | str, dict[str, Any]]:
    """The answers with these statuses, as the OpenAPI document describes them."""
    return {
        status: {
            "description": _ANSWERS[status],
            "model": InvalidDocument if status == 422 else model,
            "headers": _HEADERS.get(status, {}),
        }
        for status in statuses
    }


def answer_with_problems(app: FastAPI, wrap: Callable[[Answer], Answer] = lambda answer: answer) -> Answer:
    """Answer every error of the app with a problem document, or with what `wrap` makes of it; the function for that."""
    handler = wrap(
        new_exception_handler(
            handlers={TotesysError: _unable},
            unhandled_wrappers={"default": _InternalServerError},
            request_validation_handler=_invalid,
        )
    )
    for kind in (Exception, Problem, StarletteHTTPException, RequestValidationError, TotesysError):
        app.add_exception_handler(kind, handler)
    _document(app)
    return handler


class _InternalServerError(ServerProblem):
    """An unexpected error. The client sees nothing of it: the log has the details."""

    title = "Internal Server Error"
    type_ = "internal-server-error"

    def __init__(self, _detail: str) -> None:
        super().__init__("An unexpected error occurred. See the service's log.")


def _unable(_handler: ExceptionHandler, _request: Request, error: TotesysError) -> Problem:
    kind = error.title.lower().replace(" ", "-")
    if isinstance(error, BadRequest):
        return Problem(title=error.title, status=422, detail=str(error), type_=kind, faults=[])
    return Problem(title=error.title, status=503, detail=str(error), type_=kind)


def _invalid(handler: ExceptionHandler, request: Request, error: RequestValidationError) -> Problem:
    faults = [Fault(where=[_plain(part) for part in one["loc"]], what=_plain(one["msg"])) for one in error.errors()]
    if isinstance(error.body, bytes):  # FastAPI leaves a body unparsed if it isn't declared as JSON
        refusal = HTTPException(415, "Send JSON, with `Content-Type: application/json`.")
        return http_exception_handler_(handler, request, refusal)
    return Problem(
        title="Invalid request",
        status=422,
        detail="; ".join(f"{'.'.join(fault.where)}: {fault.what}" for fault in faults),
        type_="invalid-request",
        faults=[fault.model_dump() for fault in faults],
    )


def _plain(part: object) -> str:
    """Text that UTF-8 can encode: JSON can name halves of characters."""
    return str(part).encode(errors="replace").decode()


def _document(app: FastAPI) -> None:
    """Set the media type of error answers in the OpenAPI document, for which FastAPI has no argument."""
    make = app.openapi

    def openapi() -> dict[str, Any]:
        document = make()
        for operations in document["paths"].values():
            for operation in operations.values():
                for status, answer in operation["responses"].items():
                    if int(status) >= 400 and "application/json" in answer["content"]:
                        answer["content"] = {MEDIA_TYPE: answer["content"]["application/json"]}
        return document

    # See "Extending OpenAPI" in FastAPI's documentation.
    app.openapi = openapi  # type: ignore[method-assign]
