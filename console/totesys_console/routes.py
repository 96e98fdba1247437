"""The console's routes: the page, the page of a run, and the buttons."""

from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated
from urllib.parse import parse_qsl

from fastapi import APIRouter, Path, Query, Request, Response
from fastapi.responses import RedirectResponse
from pydantic import SecretStr

from totesys.errors import BadRequest, TotesysError
from totesys.log_events import LogEvent
from totesys.logs import logger
from totesys.service.csrf import site_fault
from totesys.service.http_api import WebPages
from totesys.service.queue import Queue
from totesys.service.running import running
from totesys.triggers import RunNumber
from totesys_console import assets
from totesys_console.actions import ACTIONS, Action, Form, chosen_stage
from totesys_console.facts import Memory
from totesys_console.guard import form_fault, token_fault
from totesys_console.html import html, pages_or_else, refusal
from totesys_console.patience import in_time
from totesys_console.run_page import run_page
from totesys_console.stage_queues import all_queues, look, redrive
from totesys_console.view import page

log = logger("totesys.console")

Before = Annotated[int | None, Query(ge=1, le=100_000_000)]
_FORM = "application/x-www-form-urlencoded"


def make_console(service: str, token: SecretStr | None) -> APIRouter:
    """The routes; none of them is in the OpenAPI document, which is for programs."""
    console = Console(service, token)
    router = APIRouter(include_in_schema=False)
    router.add_api_route("/", console.home, methods=["GET"])
    router.add_api_route("/docs", console.docs, methods=["GET"])
    router.add_api_route("/console/runs/{run}", console.run, methods=["GET"])
    router.add_api_route("/console/actions/{name}", console.question, methods=["GET"])
    router.add_api_route("/console/actions/{name}", console.act, methods=["POST"])
    router.add_api_route("/console/static/{name}", assets.answer, methods=["GET"])
    return router


class Console:
    """The console of one service."""

    def __init__(self, service: str, token: SecretStr | None) -> None:
        self._service = service
        self._token = token
        self._memory = Memory()

    async def home(self, request: Request, before: Before = None) -> Response:
        """The page for the whole pipeline; below run `before`, earlier runs."""
        facts = await self._memory.facts(self._service, running(request), before)
        done = ACTIONS.get(request.query_params.get("done", ""))
        reachable = all_queues(self._service, running(request).queue).by_stage
        return html(
            "home.html",
            page=page(facts),
            done=done.done if done else "",
            actions=ACTIONS,
            reachable=reachable,
            asks=self._token is not None,
        )

    async def docs(self) -> Response:
        """What the service answers to, as its OpenAPI document says."""
        return html("docs.html", service=self._service)

    async def run(self, request: Request, run: Annotated[RunNumber, Path()]) -> Response:
        """What each stage did with a run, table by table."""
        lake = running(request).stage.lake
        try:
            async with in_time("The lake"):
                counter = await lake.counter()
                found = await self._memory.run(lake, run)
        except TotesysError as error:
            return self._refuse(HTTPStatus.SERVICE_UNAVAILABLE, str(error))
        if found is None:
            return self._refuse(HTTPStatus.NOT_FOUND, f"Ingest has committed no run {run}.")
        last = counter.last if counter else run
        return html("run.html", page=run_page(self._service, found, last, datetime.now(UTC)))

    async def question(self, request: Request, name: str) -> Response:
        """What a button would do, with the form that does it."""
        action = ACTIONS.get(name)
        if action is None:
            return self._refuse(HTTPStatus.NOT_FOUND, "There is no such button.")
        # It hides dead letters from others while it shows them.
        if fault := site_fault(request.headers):
            return self._refuse(HTTPStatus.FORBIDDEN, fault)
        return await self._ask(request, action, dict(request.query_params), entitled=not self._token)

    async def act(self, request: Request, name: str) -> Response:
        """Do what a button says, and go back to the page."""
        action = ACTIONS.get(name)
        if action is None:
            return self._refuse(HTTPStatus.NOT_FOUND, "There is no such button.")
        if fault := form_fault(request.headers):
            return self._refuse(HTTPStatus.FORBIDDEN, fault)
        form = await _form(request)
        if fault := token_fault(form.get("token", ""), self._token):
            return await self._ask(request, action, form, HTTPStatus.UNAUTHORIZED, token_fault=fault)
        if action.changes and form.get("sure") != "yes":
            return await self._ask(request, action, form, entitled=True)
        try:
            await self._do(request, action, form)
        except BadRequest as error:
            status = HTTPStatus.UNPROCESSABLE_ENTITY
            return await self._ask(request, action, form, status, fault=str(error), entitled=True)
        except TotesysError as error:
            status = HTTPStatus.SERVICE_UNAVAILABLE
            return await self._ask(request, action, form, status, fault=str(error), entitled=True)
        return RedirectResponse(f"/?done={action.name}", HTTPStatus.SEE_OTHER)

    async def _do(self, request: Request, action: Action, form: Form) -> None:
        stage = chosen_stage(action, form)
        queue = self._queue(request, stage)
        if action.message is None:
            moved = await redrive(queue)
            log.info(LogEvent.DEAD_LETTERS_REDRIVEN, stage=stage, messages=moved)
            return
        wakeup = action.message(form)
        async with in_time(f"The queue of {stage}"):
            message_id = await queue.send(wakeup.model_dump_json(exclude_none=True, ensure_ascii=True))
        log.info(LogEvent.TRIGGER_SENT, stage=stage, action=action.name, message_id=message_id)

    def _queue(self, request: Request, stage: str) -> Queue:
        queue = all_queues(self._service, running(request).queue).by_stage.get(stage)
        if queue is None:
            raise BadRequest(f"This service does not know {stage}'s queue. Open the page of {stage} itself.")
        return queue

    async def _ask(
        self,
        request: Request,
        action: Action,
        form: Form,
        status: int = HTTPStatus.OK,
        *,
        fault: str = "",
        token_fault: str = "",
        entitled: bool = False,
    ) -> Response:
        """The question; what dead letters say is for who is `entitled` to it, by the token where one is set."""
        letters = []
        if action.message is None and not token_fault:
            try:
                stage = chosen_stage(action, form)
                async with in_time(f"The dead-letter queue of {stage}"):
                    letters = await look(self._queue(request, stage))
            except TotesysError as error:
                fault = fault or str(error)
        return html(
            "question.html",
            status,
            service=self._service,
            action=action,
            form=form,
            stage=form.get("stage", action.stages[0]),
            letters=letters,
            entitled=entitled,
            asks=self._token is not None,
            fault=fault,
            token_fault=token_fault,
        )

    def _refuse(self, status: HTTPStatus, fault: str) -> Response:
        return refusal(self._service, status, fault)


async def _form(request: Request) -> dict[str, str]:
    """The fields of a form; none of a body that is none."""
    if request.headers.get("content-type", "").partition(";")[0].strip() != _FORM:
        return {}
    body = (await request.body()).decode(errors="replace")
    try:
        return dict(parse_qsl(body, keep_blank_values=True, max_num_fields=20))
    except ValueError:
        return {}


# What a service serves for people.
PAGES = WebPages(make_console, pages_or_else)
