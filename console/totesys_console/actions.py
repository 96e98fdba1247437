"""The console's actions: their buttons, and the trigger that each sends. Pure."""

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
    """A button. `stages` can do it. An action that `changes` data asks for confirmation first.

    `trigger` makes the trigger from the form; None for an action on dead letters.
    """

    name: str
    label: str
    explanation: str
    confirmation: str
    stages: tuple[str, ...]
    changes: bool
    trigger: Callable[[Form], Trigger] | None


def _replay_trigger(form: Form) -> Trigger:
    first = _number(form.get("from", ""), "The first run")
    last = _number(form.get("to", "") or str(first), "The last run")
    if first > last:
        raise BadRequest("The last run is before the first run.")
    return _valid(RunsTrigger, from_run=first, to_run=last)


def _number(text: str, what: str) -> int:
    cleaned = text.strip()
    if not (cleaned.isascii() and cleaned.isdigit() and len(cleaned) < 10):
        raise BadRequest(f"{what} must be a number.")
    return int(cleaned)


def _valid(kind: type[Trigger], **fields: Any) -> Trigger:
    try:
        return kind(**fields)
    except ValidationError as error:
        raise BadRequest(f"{error.errors()[0]['msg']}.") from None


ACTIONS = {
    action.name: action
    for action in (
        Action(
            "run",
            "Run now",
            "Extract what has changed since the last run, and load it into the warehouse.",
            "A run is queued. It appears below once it is committed.",
            ("ingest",),
            False,
            lambda _: ExtractTrigger(mode="changes", trigger=TRIGGER),
        ),
        Action(
            "sweep",
            "Find deletions",
            "Run, and also find the rows that were deleted in the source.",
            "A run that finds deletions is queued.",
            ("ingest",),
            False,
            lambda _: ExtractTrigger(mode="sweep", trigger=TRIGGER),
        ),
        Action(
            "verify",
            "Verify",
            "Compare every row and column of the warehouse with the source.",
            "A verification is queued. Its result appears below.",
            ("load",),
            False,
            lambda _: LoadTrigger(verify=True),
        ),
        Action(
            "replay",
            "Replay runs",
            "A stage processes runs again and replaces what it wrote. After transform, replay the runs in load too.",
            "The replay is queued. The times of the runs change as they are replayed.",
            ("transform", "load"),
            True,
            _replay_trigger,
        ),
        Action(
            "redrive",
            "Redrive",
            "Send dead letters back to their service, which tries them again. Fix the cause first.",
            "The dead letters are back in their queue. Those that fail again return here.",
            STAGES,
            True,
            None,
        ),
        Action(
            "discard",
            "Discard",
            "Delete dead letters. They hold triggers, not data: the next message of the stage does all pending work.",
            "The dead letters are deleted.",
            STAGES,
            True,
            None,
        ),
    )
}


def chosen_letters(form: Form) -> frozenset[str]:
    """The ids of the dead letters that the form names; none for all of them. Raises BadRequest if none is chosen."""
    if form.get("sure") != "chosen":
        return frozenset()
    if not form.get("letter"):
        raise BadRequest("Choose at least one dead letter.")
    return frozenset(form["letter"].split())


def chosen_stage(action: Action, form: Form) -> str:
    """The stage that the form names, by default the action's first. Raises BadRequest if it can't do the action."""
    stage = form.get("stage", action.stages[0])
    if stage not in action.stages:
        raise BadRequest(f"{action.label} is an action of {' and '.join(action.stages)}, not of {stage[:20]}.")
    return stage
