"""The HTTP API of a service: health, the manual trigger, and what the lake records of runs."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, Literal, TypeVar

from fastapi import APIRouter, Body, Depends, FastAPI, HTTPException, Path, Query, Request, Response
from fastapi.responses import PlainTextResponse
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from fastapi_offline import FastAPIOffline
from fastapi_problem.error import Problem
from pydantic import BaseModel, SecretStr

from totesys.aws_client import answered
from totesys.errors import TotesysError
from totesys.lake.records import VerificationRecord
from totesys.service import exposition
from totesys.service.background import Task
from totesys.service.body import BodyLimit
from totesys.service.csrf import SameSiteOnly, own_names
from totesys.service.problems import Answer, NotReadyDocument, answer_with_problems, documented
from totesys.service.readiness import check_dependencies
from totesys.service.running import Running, running
from totesys.service.runs import QuarantinedRows, RunDetail, RunState, list_quarantined, list_runs, run_detail
from totesys.service.token import is_token
from totesys.service_settings import ServiceSettings
from totesys.triggers import RunNumber, Trigger
from totesys.version import VERSION

T = TypeVar("T", bound=Trigger)

# Above every run number.
ABOVE_ALL_RUNS = 100_000_000
# A scrape waits no longer for the queue.
QUEUE_SECONDS = 5.0

Limit = Annotated[int, Query(ge=1, le=200)]
Before = Annotated[int, Query(ge=1, le=ABOVE_ALL_RUNS)]


@dataclass(frozen=True)
class WebPages:
    """The pages for people beside the API.

    `router` makes their routes from the service's name and its settings. `with_error_pages` takes that name and the
    function that answers errors, and returns one that answers page requests with pages. `watch` makes the task that
    sends alerts, if the settings ask for it.
    """

    router: Callable[[str, ServiceSettings], APIRouter]
    with_error_pages: Callable[[str, Answer], Answer]
    watch: Callable[[str, ServiceSettings], Callable[[Running[Any]], Task] | None]


class Health(BaseModel):
    """The answer of a healthy service."""

    service: str
    status: Literal["ok"] = "ok"


class Readiness(Health):
    """The answer of a service that is ready: all its dependencies answer."""

    dependencies: dict[str, str]


class Queued(BaseModel):
    """The answer to a trigger: the id of its message."""

    message_id: str


def make_app(
    name: str,
    kind: type[T],
    settings: ServiceSettings,
    lifespan: Callable[[FastAPI], AbstractAsyncContextManager[None]],
    pages: WebPages,
    router: APIRouter | None = None,
) -> FastAPI:
    """The app of the service `name`, which takes triggers of `kind`. `lifespan` must set `app.state.running`.

    `router` has the routes of this service alone. They show rows, so the trigger token guards them too.
    """
    app = FastAPIOffline(
        # The console has the page, with a stricter policy. Only its files come from here.
        docs_url=None,
        redoc_url=None,
        title=f"totesys {name}",
        version=VERSION,
        lifespan=lifespan,
        # A wrong path is a 404, not a redirect.
        redirect_slashes=False,
        # Any request can end so.
        responses=documented(403, 408, 413, 500),
    )
    refuse = answer_with_problems(app, partial(pages.with_error_pages, name))
    app.add_middleware(SameSiteOnly, refuse=refuse, names=own_names(name) | settings.host_names)
    app.add_middleware(BodyLimit, refuse=refuse)
    _add_health(app, name)
    _add_metrics(app, name)
    _add_trigger(app, kind, settings.trigger_token)
    _add_runs(app)
    app.include_router(pages.router(name, settings))
    if router is not None:
        app.include_router(router, dependencies=_guards(token := settings.trigger_token), responses=_refusals(token))
    return app


def _add_health(app: FastAPI, name: str) -> None:
    @app.get("/health", tags=["health"], responses=documented(503))
    async def health(request: Request) -> Health:
        """Whether the service is alive: 503 if its consumer is stuck or a background task has ended."""
        if fault := running(request).fault:
            raise Problem(title="Not healthy", status=503, detail=fault, type_="not-healthy")
        return Health(service=name)

    @app.get("/health/ready", tags=["health"], responses=documented(503, model=NotReadyDocument))
    async def ready(request: Request) -> Readiness:
        """Whether every dependency of the service answers: 503 names those that do not."""
        faults = await check_dependencies(running(request).queue, running(request).stage)
        states = {of: fault.title.lower() if fault else "ok" for of, fault in faults.items()}
        detail = " ".join(f"{of}: {fault}" for of, fault in faults.items() if fault)
        if detail:
            raise Problem(title="Not ready", status=503, detail=detail, type_="not-ready", dependencies=states)
        return Readiness(service=name, dependencies=states)


def _add_metrics(app: FastAPI, name: str) -> None:
    @app.get("/metrics", tags=["health"], response_class=PlainTextResponse)
    async def metrics(request: Request) -> Response:
        """The metrics of the service in Prometheus' text format."""
        service, depths = running(request), None
        # A queue that is down must not hide the other metrics. /health/ready names it.
        with suppress(TotesysError):
            async with answered("The queue", QUEUE_SECONDS):
                depths = await service.queue.depths()
        return Response(service.exposition.text(name, service.fault, depths), media_type=exposition.MEDIA_TYPE)


def _add_trigger(app: FastAPI, kind: type[T], token: SecretStr | None) -> None:
    default = kind()

    # The body's type is the stage's own, which a type checker cannot know.
    async def trigger(request: Request, given: Annotated[kind, Body()] = default) -> Queued:  # type: ignore[valid-type]
        """Queue a message for this service. Without a body, it asks for what is pending."""
        body: Trigger = given
        # SQS accepts every character of ASCII, but not of Unicode.
        message = body.model_dump_json(exclude_none=True, ensure_ascii=True)
        return Queued(message_id=await running(request).queue.send(message))

    app.add_api_route(
        "/trigger",
        trigger,
        methods=["POST"],
        status_code=202,
        tags=["runs"],
        dependencies=_guards(token),
        responses=documented(400, 415, 422, 503) | _refusals(token),
    )


def _add_runs(app: FastAPI) -> None:
    @app.get("/runs", tags=["runs"], responses=documented(422, 503))
    async def runs(request: Request, limit: Limit = 20, before: Before = ABOVE_ALL_RUNS) -> list[RunState]:
        """The runs below `before`, newest first, each with the state of its three stages."""
        return await list_runs(running(request).stage.lake, limit, before)

    @app.get("/verifications", tags=["runs"], responses=documented(422, 503))
    async def verifications(
        request: Request, limit: Annotated[int, Query(ge=1, le=100)] = 10
    ) -> list[VerificationRecord]:
        """The results of the last comparisons of the warehouse with the source, newest first."""
        return await running(request).stage.lake.verifications(limit)

    @app.get("/runs/{run}", tags=["runs"], responses=documented(404, 422, 503))
    async def one_run(request: Request, run: Annotated[RunNumber, Path(examples=[1])]) -> RunDetail:
        """One run with its tables and parts."""
        detail = await run_detail(running(request).stage.lake, run)
        if detail is None:
            raise HTTPException(404, f"Ingest has committed no run {run}.")
        return detail

    @app.get("/quarantine", tags=["runs"], responses=documented(422, 503))
    async def quarantine(request: Request, limit: Limit = 20, before: Before = ABOVE_ALL_RUNS) -> list[QuarantinedRows]:
        """The numbers of quarantined rows by run and table, for the newest runs below `before` that have any."""
        return await list_quarantined(running(request).stage.lake, limit, before)


def _guards(token: SecretStr | None) -> list[Any]:
    return [Depends(_authorise(token))] if token else []


def _refusals(token: SecretStr | None) -> dict[int | str, dict[str, Any]]:
    return documented(401) if token else {}


def _authorise(token: SecretStr) -> Callable[..., None]:
    bearer = HTTPBearer(auto_error=False)

    def check(credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)]) -> None:
        # Headers are decoded as Latin-1, whatever their bytes are.
        if not is_token(credentials.credentials.encode("latin-1") if credentials else b"", token):
            raise HTTPException(
                401,
                "The trigger token is missing or wrong. Send it as `Authorization: Bearer …`.",
                headers={"WWW-Authenticate": "Bearer"},
            )

    return check
