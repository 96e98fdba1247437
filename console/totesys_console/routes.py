"""The console's routes: the home page, the page of a run, and the actions."""

import asyncio
from datetime import UTC, date, datetime
from http import HTTPStatus
from typing import Annotated
from urllib.parse import parse_qsl

from fastapi import APIRouter, HTTPException, Path, Query, Request, Response
from fastapi.responses import RedirectResponse

from totesys.aws_client import answered
from totesys.errors import BadRequest, TotesysError
from totesys.log_events import LogEvent
from totesys.logs import logger
from totesys.service.csrf import form_fault, site_fault
from totesys.service.http_api import WebPages
from totesys.service.queue import Queue
from totesys.service.running import running
from totesys.service.token import is_token
from totesys.service_settings import ServiceSettings
from totesys.triggers import RunNumber
from totesys_console.actions import ACTIONS, Action, Form, chosen_letters, chosen_stage
from totesys_console.alert_watch import alert_watch
from totesys_console.data_plane import DataPlane
from totesys_console.facts import Observer
from totesys_console.html import render, static_file, with_error_pages
from totesys_console.page_query import SHOW_CAPTIONS, SHOW_NAMES, WINDOW_NAMES, PageQuery, Show, Window
from totesys_console.run_log import LogLine, lines_of_run
from totesys_console.run_page import run_page
from totesys_console.stage_queues import TO_SHOW, each_dead_letter, find_queues
from totesys_console.view import home_page

log = logger("totesys.console")

Before = Annotated[int | None, Query(ge=1, le=100_000_000)]
_FORM = "application/x-www-form-urlencoded"
QUEUE_SECONDS = 10.0


def make_console(service: str, settings: ServiceSettings) -> APIRouter:
    """The routes. They are not in the OpenAPI document, which is for programs."""
    console = Console(service, settings)
    router = APIRouter(include_in_schema=False)
    router.add_api_route("/", console.home, methods=["GET"])
    router.add_api_route("/docs", console.docs, methods=["GET"])
    router.add_api_route("/console/runs/{run}", console.run, methods=["GET"])
    router.add_api_route("/console/runs/{run}/log", console.log, methods=["GET"])
    router.add_api_route("/console/actions/{name}", console.confirm, methods=["GET"])
    router.add_api_route("/console/actions/{name}", console.act, methods=["POST"])
    router.add_api_route("/console/static/{name}", static_file, methods=["GET"])
    return router


class Console:
    """The console of one service."""

    def __init__(self, service: str, settings: ServiceSettings) -> None:
        self._service = service
        self._token = settings.trigger_token
        self._log_file = settings.log_file
        self._observer = Observer()

    async def home(
        self,
        request: Request,
        show: Show = "changes",
        on: date | None = None,
        before: Before = None,
        window: Window | None = None,
    ) -> Response:
        """The whole pipeline, with the runs that the query selects."""
        query = PageQuery(show, on, before, window)
        facts = await self._observer.facts(self._service, running(request), query)
        done = ACTIONS.get(request.query_params.get("done", ""))
        return render(
            "home.html",
            page=home_page(facts),
            confirmation=done.confirmation if done else "",
            actions=ACTIONS,
            reachable=find_queues(self._service, running(request).queue),
            needs_token=self._token is not None,
            window_names=WINDOW_NAMES,
            show_names=SHOW_NAMES,
            show_captions=SHOW_CAPTIONS,
        )

    async def docs(self) -> Response:
        """The HTTP API, from its OpenAPI document."""
        return render("docs.html", service=self._service)

    async def run(self, request: Request, run: Annotated[RunNumber, Path()]) -> Response:
        """What each stage did with a run, table by table."""
        found, last = await self._observer.run(running(request).stage.lake, run)
        if found is None:
            raise HTTPException(HTTPStatus.NOT_FOUND, f"Ingest has committed no run {run}.")
        return render("run.html", page=run_page(self._service, self._plane(request), found, last, datetime.now(UTC)))

    async def log(self, request: Request, run: Annotated[RunNumber, Path()]) -> Response:
        """The log lines of a run, or where they are."""
        lines: tuple[LogLine, ...] = ()
        fault, plane = "", self._plane(request)
        if self._log_file:
            try:
                lines = await asyncio.to_thread(lines_of_run, self._log_file, run)
            except OSError as error:
                fault = f"The log file {self._log_file} cannot be read: {error.strerror}."
        return render(
            "run_log.html",
            service=self._service,
            run=run,
            lines=lines,
            fault=fault,
            file=self._log_file,
            link=plane.log_link(run),
            commands=plane.log_commands(run),
        )

    def _plane(self, request: Request) -> DataPlane:
        return DataPlane.of_queue(running(request).queue.url, self._service)

    async def confirm(self, request: Request, name: str) -> Response:
        """An action with the form that does it."""
        # Another site's link must not read the dead letters.
        if fault := site_fault(request.headers):
            raise HTTPException(HTTPStatus.FORBIDDEN, fault)
        return await self._form_page(request, _action(name), dict(request.query_params), entitled=not self._token)

    async def act(self, request: Request, name: str) -> Response:
        """Do an action, and return to the home page."""
        action = _action(name)
        if fault := form_fault(request.headers):
            raise HTTPException(HTTPStatus.FORBIDDEN, fault)
        form = await _form(request)
        if fault := self._token_fault(form.get("token", "").strip()):
            return await self._form_page(request, action, form, HTTPStatus.UNAUTHORIZED, token_fault=fault)
        if action.changes and form.get("sure") not in {"yes", "chosen"}:
            return await self._form_page(request, action, form, entitled=True)
        try:
            await self._do(request, action, form)
        except TotesysError as error:
            wrong = isinstance(error, BadRequest)
            status = HTTPStatus.UNPROCESSABLE_ENTITY if wrong else HTTPStatus.SERVICE_UNAVAILABLE
            return await self._form_page(request, action, form, status, fault=str(error), entitled=True)
        return RedirectResponse(f"/?done={action.name}", HTTPStatus.SEE_OTHER)

    def _token_fault(self, given: str) -> str | None:
        if not self._token or is_token(given.encode(errors="replace"), self._token):
            return None
        return "This is not the trigger token." if given else "Enter the trigger token."

    async def _do(self, request: Request, action: Action, form: Form) -> None:
        stage = chosen_stage(action, form)
        queue = self._queue(request, stage)
        if action.trigger is None:
            redriven, ids = action.name == "redrive", chosen_letters(form)
            messages = await each_dead_letter(queue, queue.redrive if redriven else queue.discard, ids)
            if ids and not messages:
                raise BadRequest("These dead letters are gone, or somebody else has received them. Look again soon.")
            log.info(
                LogEvent.DEAD_LETTERS_REDRIVEN if redriven else LogEvent.DEAD_LETTERS_DISCARDED,
                stage=stage,
                messages=messages,
            )
            return
        body = action.trigger(form).model_dump_json(exclude_none=True, ensure_ascii=True)
        async with answered(f"The queue of {stage}", QUEUE_SECONDS):
            message_id = await queue.send(body)
        log.info(LogEvent.TRIGGER_SENT, stage=stage, action=action.name, message_id=message_id)

    def _queue(self, request: Request, stage: str) -> Queue:
        queue = find_queues(self._service, running(request).queue).get(stage)
        if queue is None:
            raise BadRequest(f"This service does not know the queue of {stage}. Use the console of {stage} itself.")
        return queue

    async def _form_page(
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
        """The form of an action. The bodies of dead letters are shown only to those `entitled` to them by the token."""
        letters = []
        if action.trigger is None and not token_fault:
            try:
                stage = chosen_stage(action, form)
                async with answered(f"The dead-letter queue of {stage}", QUEUE_SECONDS):
                    letters = await self._queue(request, stage).dead_letters(10, TO_SHOW)
            except TotesysError as error:
                fault = fault or str(error)
        return render(
            "action.html",
            status,
            service=self._service,
            action=action,
            form=form,
            stage=form.get("stage", action.stages[0]),
            letters=letters,
            entitled=entitled,
            needs_token=self._token is not None,
            fault=fault,
            token_fault=token_fault,
        )


def _action(name: str) -> Action:
    action = ACTIONS.get(name)
    if action is None:
        raise HTTPException(HTTPStatus.NOT_FOUND, f"There is no action {name[:20]}.")
    return action


async def _form(request: Request) -> dict[str, str]:
    """The fields of the form in a request's body; none if there is no form."""
    if request.headers.get("content-type", "").partition(";")[0].strip() != _FORM:
        return {}
    body = (await request.body()).decode(errors="replace")
    try:
        fields = parse_qsl(body, keep_blank_values=True, max_num_fields=20)
    except ValueError:
        return {}
    # Of the other fields, the last one counts.
    return dict(fields) | {"letter": " ".join(value for name, value in fields if name == "letter")}


# The pages that a service serves.
PAGES = WebPages(make_console, with_error_pages, alert_watch)
