"""The HTTP side of a service: health, the manual trigger, the record of runs."""

import secrets
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Annotated, Any, Generic, TypeVar

from fastapi import Body, Depends, FastAPI, Path, Query, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from fastapi_offline import FastAPIOffline
from fastapi_problem.error import NotFoundProblem, Problem, ServerProblem, UnauthorisedProblem
from fastapi_problem.handler import ExceptionHandler, add_exception_handler, new_exception_handler
from pydantic import BaseModel

from totesys.errors import TotesysError
from totesys.events import RunNumber, Wakeup
from totesys.service.consumer import Consumer
from totesys.service.queue import Queue
from totesys.service.runs import RunDetail, RunState, list_runs, run_detail
from totesys.service.stage import Stage
from totesys.settings import ServiceSettings

W = TypeVar("W", bound=Wakeup)


@dataclass(frozen=True)
class Running(Generic[W]):
    """What a started service consists of; the app keeps it as its state."""

    stage: Stage[W]
    queue: Queue
    consumer: Consumer[W]


class Health(BaseModel):
    """The answer of a healthy service."""

    service: str
    status: str = "ok"


class Queued(BaseModel):
    """The answer to a trigger: the id of the message that will wake the service."""

    message_id: str


class InternalProblem(ServerProblem):
    """What a client is told of a defect: nothing that the log should keep to itself."""

    def __init__(self, _detail: str) -> None:
        super().__init__("Something unexpected happened; the service's log says what.")


def make_app(
    name: str,
    wakeup: type[W],
    settings: ServiceSettings,
    lifespan: Callable[[FastAPI], AbstractAsyncContextManager[None]],
) -> FastAPI:
    """The app of the service `name`. `lifespan` must set `app.state.running` to a Running."""
    app = FastAPIOffline(title=f"totesys {name}", version="0.1.0", lifespan=lifespan)
    add_exception_handler(
        app,
        new_exception_handler(
            handlers={TotesysError: _totesys_problem}, unhandled_wrappers={"default": InternalProblem}
        ),
    )
    _add_health(app, name)
    _add_trigger(app, wakeup, settings)
    _add_runs(app)
    return app


def _add_health(app: FastAPI, name: str) -> None:
    @app.get("/health", tags=["health"])
    async def health(request: Request) -> Health:
        """Whether the service is alive: 503 when its consumer is stuck or has ended."""
        if fault := _running(request).consumer.fault:
            raise Problem(title="Not healthy", status=503, detail=fault, type_="not-healthy")
        return Health(service=name)

    @app.get("/health/ready", tags=["health"])
    async def ready(request: Request) -> Health:
        """Whether everything that the service depends on answers: 503 names what does not."""
        running = _running(request)
        await running.queue.check()
        await running.stage.lake.check()
        await running.stage.check()
        return Health(service=name)


def _add_trigger(app: FastAPI, wakeup: type[W], settings: ServiceSettings) -> None:
    default = wakeup()

    @app.post("/trigger", status_code=202, tags=["runs"], dependencies=[Depends(_authorise(settings))])
    async def trigger(request: Request, ask: Annotated[wakeup, Body()] = default) -> Queued:  # type: ignore[valid-type]
        """Queue the wake-up that an event would. Without a body: do what is undone."""
        body: Wakeup = ask
        return Queued(message_id=await _running(request).queue.send(body.model_dump_json(exclude_none=True)))


def _add_runs(app: FastAPI) -> None:
    @app.get("/runs", tags=["runs"])
    async def runs(
        request: Request,
        limit: Annotated[int, Query(ge=1, le=200)] = 20,
        before: RunNumber | None = None,
    ) -> list[RunState]:
        """Runs, newest first, each with the state of its three stages."""
        return await list_runs(_running(request).stage.lake, limit, before)

    @app.get("/runs/{run}", tags=["runs"])
    async def one_run(request: Request, run: Annotated[RunNumber, Path()]) -> RunDetail:
        """One run with its tables and parts."""
        detail = await run_detail(_running(request).stage.lake, run)
        if detail is None:
            raise NotFoundProblem(f"Ingest has committed no run {run}.")
        return detail


def _running(request: Request) -> Running[Any]:
    running: Running[Any] = request.app.state.running
    return running


def _authorise(settings: ServiceSettings) -> Callable[..., None]:
    bearer = HTTPBearer(auto_error=False)

    def check(credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)]) -> None:
        token = settings.trigger_token
        given = credentials.credentials if credentials else ""
        if token and not secrets.compare_digest(given.encode(), token.get_secret_value().encode()):
            raise UnauthorisedProblem(
                "Give the trigger token as `Authorization: Bearer …`.", headers={"WWW-Authenticate": "Bearer"}
            )

    return check


def _totesys_problem(_handler: ExceptionHandler, _request: Request, error: Exception) -> Problem:
    title = error.title if isinstance(error, TotesysError) else "Error"
    return Problem(title=title, status=503, detail=str(error), type_=title.lower().replace(" ", "-"))
