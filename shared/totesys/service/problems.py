"""Errors as problem documents (RFC 9457), and what the OpenAPI document says of them."""

from collections.abc import Callable
from typing import Any

from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi_problem.error import Problem, ServerProblem
from fastapi_problem.handler import ExceptionHandler, http_exception_handler_, new_exception_handler
from pydantic import BaseModel
from starlette.exceptions import HTTPException as StarletteHTTPException

from totesys.errors import BadRequest, TotesysError

MEDIA_TYPE = "application/problem+json"


class ProblemDocument(BaseModel):
    """What went wrong: `type` and `title` name its kind, `detail` says what to do about this one."""

    type: str
    title: str
    status: int
    detail: str


class Fault(BaseModel):
    """One thing that is wrong with a request: where, and what."""

    where: list[str]
    what: str


class InvalidDocument(ProblemDocument):
    """A request that says nothing possible."""

    faults: list[Fault]


class NotReadyDocument(ProblemDocument):
    """The state of every dependency: `ok`, or the kind of its error."""

    dependencies: dict[str, str]


_ANSWERS = {
    400: "The body cannot be read",
    401: "The token is missing or wrong",
    403: "A page of another site asks, or under a name that is not the service's own",
    404: "There is none",
    408: "The body did not come in time",
    413: "The body is too large",
    415: "The body is not JSON",
    422: "The request says nothing possible",
    500: "A defect",
    503: "The service cannot do it now",
}
_HEADERS = {401: {"WWW-Authenticate": {"required": True, "schema": {"type": "string"}}}}


def documented(*statuses: int, model: type[ProblemDocument] = ProblemDocument) -> dict[int | str, dict[str, Any]]:
    """What the OpenAPI document says of the answers with these statuses."""
    return {
        status: {
            "description": _ANSWERS[status],
            "model": InvalidDocument if status == 422 else model,
            "headers": _HEADERS.get(status, {}),
        }
        for status in statuses
    }


def answer_with_problems(app: FastAPI) -> Callable[[Request, Exception], Response]:
    """Make every error of the app a problem document, also in its OpenAPI document; what answers an error."""
    handler = new_exception_handler(
        handlers={TotesysError: _unable}, unhandled_wrappers={"default": _Defect}, request_validation_handler=_invalid
    )
    for kind in (Exception, Problem, StarletteHTTPException, RequestValidationError, TotesysError):
        app.add_exception_handler(kind, handler)
    _document(app)
    return handler


class _Defect(ServerProblem):
    """What a client is told of a defect: nothing that the log should keep to itself."""

    title = "Defect"
    type_ = "defect"

    def __init__(self, _detail: str) -> None:
        super().__init__("Something unexpected happened; the service's log says what.")


def _unable(_handler: ExceptionHandler, _request: Request, error: TotesysError) -> Problem:
    kind = error.title.lower().replace(" ", "-")
    if isinstance(error, BadRequest):
        return Problem(title=error.title, status=422, detail=str(error), type_=kind, faults=[])
    return Problem(title=error.title, status=503, detail=str(error), type_=kind)


def _invalid(handler: ExceptionHandler, request: Request, error: RequestValidationError) -> Problem:
    faults = [Fault(where=[_plain(part) for part in one["loc"]], what=_plain(one["msg"])) for one in error.errors()]
    if isinstance(error.body, bytes):  # what FastAPI leaves as it came, because nothing says that it is JSON
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
    """As text that UTF-8 can say: JSON can name halves of characters."""
    return str(part).encode(errors="replace").decode()


def _document(app: FastAPI) -> None:
    """Give the answers that are errors their media type, which FastAPI has no argument for."""
    make = app.openapi

    def openapi() -> dict[str, Any]:
        document = make()
        for operations in document["paths"].values():
            for operation in operations.values():
                for status, answer in operation["responses"].items():
                    if int(status) >= 400 and "application/json" in answer["content"]:
                        answer["content"] = {MEDIA_TYPE: answer["content"]["application/json"]}
        return document

    # As FastAPI's documentation has it, under "Extending OpenAPI".
    app.openapi = openapi  # type: ignore[method-assign]
