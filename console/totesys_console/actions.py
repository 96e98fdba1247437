"""What a person can have the pipeline do: the buttons, and the message that each sends. Pure."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from totesys.errors import BadRequest
from totesys.stage_names import STAGES
from totesys.triggers import ExtractTrigger, LoadTrigger, RunsTrigger, Trigger

TRIGGER = "console"
Form = Mapping[str, str]


@dataclass(frozen=True)
class Action:
    """A button. `stages` can do it; `changes` says that it changes data, so a question comes first."""

    name: str
    label: str
    explains: str
    done: str
    stages: tuple[str, ...]
    changes: bool
    message: Callable[[Form], Trigger] | None


def _replayed(form: Form) -> Trigger:
    first = _number(form.get("from", ""), "The first run")
    return _valid(RunsTrigger, from_run=first, to_run=_number(form.get("to", "") or str(first), "The last run"))


def _number(text: str, what: str) -> int:
    cleaned = text.strip()
    if not (cleaned.isascii() and cleaned.isdigit() and len(cleaned) < 10):
        raise BadRequest(f"{what} is a number.")
    return int(cleaned)


def _valid(kind: type[Trigger], **fields: Any) -> Trigger:
    try:
        return kind(**fields)
    except ValidationError as error:
        raise BadRequest(error.errors()[0]["msg"].removeprefix("Value error, ") + ".") from None


ACTIONS = {
    action.name: action
    for action in (
        Action(
            "run",
            "Run now",
            "Ingest looks for what has changed since the last run, and the others bring it into the warehouse.",
            "Ingest has been asked for a run: it appears here when it is committed.",
            ("ingest",),
            False,
            lambda _: ExtractTrigger(mode="changes", trigger=TRIGGER),
        ),
        Action(
            "sweep",
            "Find deletions",
            "A run that also finds what the source has deleted.",
            "Ingest has been asked for a run that finds deletions.",
            ("ingest",),
            False,
            lambda _: ExtractTrigger(mode="sweep", trigger=TRIGGER),
        ),
        Action(
            "verify",
            "Verify",
            "Load compares every row and column of the warehouse with the source.",
            "Load has been asked to compare the warehouse with the source: the result appears here.",
            ("load",),
            False,
            lambda _: LoadTrigger(verify=True),
        ),
        Action(
            "replay",
            "Do runs again",
            "A stage does runs again, each in the place of what it wrote; after transform, have load do them too.",
            "The runs will be done again: their times change when they are.",
            ("transform", "load"),
            True,
            _replayed,
        ),
        Action(
            "redrive",
            "Send back",
            "The dead letters go back to their service, which tries them again. Mend the cause first.",
            "The dead letters have gone back to their service. One that fails again is here again.",
            STAGES,
            True,
            None,
        ),
    )
}


def chosen_stage(action: Action, form: Form) -> str:
    """The stage that is to do it. Raises BadRequest for one that cannot."""
    stage = form.get("stage", action.stages[0])
    if stage not in action.stages:
        raise BadRequest(f"{action.label} is a matter of {', '.join(action.stages)}.")
    return stage
