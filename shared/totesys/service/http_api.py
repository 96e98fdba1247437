"""The HTTP side of a service: health, the manual trigger, the record of runs."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeVar

from fastapi import APIRouter, Body, Depends, FastAPI, HTTPException, Path, Query, Request, Response
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from fastapi_offline import FastAPIOffline
from fastapi_problem.error import Problem
from pydantic import BaseModel, SecretStr

from totesys.lake.records import VerificationRecord
from totesys.service.body import BodyLimit
from totesys.service.csrf import OwnSite, own_names
from totesys.service.problems import NotReadyDocument, answer_with_problems, documented
from totesys.service.readiness import ask
from totesys.service.running import running
from totesys.service.runs import QuarantinedRows, RunDetail, RunState, list_quarantined, list_runs, run_detail
from totesys.service.token import is_token
from totesys.service_settings import ServiceSettings
from totesys.triggers import RunNumber, Trigger
from totesys.version import VERSION

W = TypeVar("W", bound=Trigger)

# Above every run number.
NO_RUN_YET = 100_000_000

Limit = Annotated[int, Query(ge=1, le=200)]
Before = Annotated[int, Query(ge=1, le=NO_RUN_YET)]


Refusal = Callable[[Request, Exception], Response]


@dataclass(frozen=True)
class WebPages:
    """The pages for people beside the API.

    `router` makes their routes from the service's name and the trigger token. `refusal` makes what answers a refused
    request: a page where a page was requested, else what the given refusal answers.
    """

    router: Callable[[str, SecretStr | None], APIRouter]
    refusal: Callable[[str, Refusal], Refusal]


class Health(BaseModel):
    """The answer of a healthy service."""

    service: str
    status: Literal["ok"] = "ok"


class Readiness(Health):
    """The answer of a service whose dependencies all answer."""

    dependencies: dict[str, str]


class Queued(BaseModel):
    """The answer to a trigger: the id of the message that will wake the service."""

    message_id: str


def make_app(
    name: str,
    wakeup: type[W],
    settings: ServiceSettings,
    lifespan: Callable[[FastAPI], AbstractAsyncContextManager[None]],
    pages: WebPages,
    router: APIRouter | None = None,
) -> FastAPI:
    """The app of the service `name`. `lifespan` must set `app.state.running` to a Running.

    `router` has the routes of this service alone. They show rows, so the trigger's token guards them too.
    """
    app = FastAPIOffline(
        # The console has a page for it, under a policy of its own; from here are the files alone.
        docs_url=None,
        redoc_url=None,
        title=f"totesys {name}",
        version=VERSION,
        lifespan=lifespan,
        # What is not there is a 404, not a way to what is.
        redirect_slashes=False,
        # Where any request can end.
        responses=documented(403, 408, 413, 500),
    )
    refuse = pages.refusal(name, answer_with_problems(app))
    app.add_middleware(OwnSite, refuse=refuse, names=own_names(name) | settings.host_names)
    app.add_middleware(BodyLimit, refuse=refuse)
    _add_health(app, name)
    _add_trigger(app, wakeup, settings.trigger_token)
    _add_runs(app)
    app.include_router(pages.router(name, settings.trigger_token))
    if router is not None:
        app.include_router(router, dependencies=_guards(token := settings.trigger_token), responses=_refusals(token))
    return app


def _add_health(app: FastAPI, name: str) -> None:
    @app.get("/health", tags=["health"], responses=documented(503))
    async def health(request: Request) -> Health:
        """Whether the service is alive: 503 when its consumer is stuck, or a background task has ended."""
        if fault := running(request).fault:
            raise Problem(title="Not healthy", status=503, detail=fault, type_="not-healthy")
        return Health(service=name)

    @app.get("/health/ready", tags=["health"], responses=documented(503, model=NotReadyDocument))
    async def ready(request: Request) -> Readiness:
        """Whether everything that the service depends on answers: 503 names what does not."""
        faults = await ask(running(request).queue, running(request).stage)
        states = {of: fault.title.lower() if fault else "ok" for of, fault in faults.items()}
        detail = " ".join(f"{of}: {fault}" for of, fault in faults.items() if fault)
        if detail:
            raise Problem(title="Not ready", status=503, detail=detail, type_="not-ready", dependencies=states)
        return Readiness(service=name, dependencies=states)


def _add_trigger(app: FastAPI, wakeup: type[W], token: SecretStr | None) -> None:
    default = wakeup()

    # The body's type is the stage's own, which a checker cannot know.
    async def trigger(request: Request, ask_for: Annotated[wakeup, Body()] = default) -> Queued:  # type: ignore[valid-type]
        """Queue the wake-up that an event would. Without a body: do what is undone."""
        body: Trigger = ask_for
        # A queue takes not every character of Unicode, but every one of ASCII.
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
    async def runs(request: Request, limit: Limit = 20, before: Before = NO_RUN_YET) -> list[RunState]:
        """Runs below `before`, newest first, each with the state of its three stages."""
        return await list_runs(running(request).stage.lake, limit, before)

    @app.get("/verifications", tags=["runs"], responses=documented(422, 503))
    async def verifications(
        request: Request, limit: Annotated[int, Query(ge=1, le=100)] = 10
    ) -> list[VerificationRecord]:
        """What the last comparisons of the warehouse with the source found, newest first."""
        return await running(request).stage.lake.verifications(limit)

    @app.get("/runs/{run}", tags=["runs"], responses=documented(404, 422, 503))
    async def one_run(request: Request, run: Annotated[RunNumber, Path(examples=[1])]) -> RunDetail:
        """One run with its tables and parts."""
        detail = await run_detail(running(request).stage.lake, run)
        if detail is None:
            raise HTTPException(404, f"Ingest has committed no run {run}.")
        return detail

    @app.get("/quarantine", tags=["runs"], responses=documented(422, 503))
    async def quarantine(request: Request, limit: Limit = 20, before: Before = NO_RUN_YET) -> list[QuarantinedRows]:
        """How many rows are in quarantine, by run and table, of the newest runs below `before` that have any."""
        return await list_quarantined(running(request).stage.lake, limit, before)


def _guards(token: SecretStr | None) -> list[Any]:
    return [Depends(_authorise(token))] if token else []


def _refusals(token: SecretStr | None) -> dict[int | str, dict[str, Any]]:
    return documented(401) if token else {}


def _authorise(token: SecretStr) -> Callable[..., None]:
    bearer = HTTPBearer(auto_error=False)

    def check(credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)]) -> None:
        # A header's bytes are read as Latin-1, whatever they are.
        if not is_token(credentials.credentials.encode("latin-1") if credentials else b"", token):
            raise HTTPException(
                401,
                "Give the trigger token as `Authorization: Bearer …`.",
                headers={"WWW-Authenticate": "Bearer"},
            )

    return check
