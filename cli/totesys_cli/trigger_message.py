"""The message of a call of `totesys trigger`. Pure, except for the generated name of its runs' trigger."""

from collections.abc import Sequence
from typing import Literal
from uuid import uuid4

from pydantic import ValidationError

from totesys.stage_names import Stage
from totesys.triggers import ExtractTrigger, LoadTrigger, RunsTrigger, Trigger
from totesys_cli.command_errors import UsageError

Mode = Literal["changes", "full", "sweep", "repair"]


def make_trigger(stage: Stage, mode: Mode | None, keys: Sequence[str], *, verify: bool) -> Trigger:
    """The message. Raises UsageError for options of another stage, and for invalid keys."""
    if stage != "ingest" and (mode or keys):
        raise UsageError(f"--mode and --keys are for ingest. Leave them out: {stage} processes all pending runs.")
    if stage != "load" and verify:
        raise UsageError(f"--verify is for load, not {stage}. Leave it out, or trigger load.")
    if bool(keys) != (mode == "repair"):
        raise UsageError("--mode repair and --keys go together: --mode repair --keys TABLE=17,4.")
    if stage == "ingest":
        return _extraction(mode or "changes", keys)
    return LoadTrigger(verify=verify) if stage == "load" else RunsTrigger()


def _extraction(mode: Mode, keys: Sequence[str]) -> ExtractTrigger:
    named = dict(_parse(one) for one in keys)
    try:
        return ExtractTrigger.model_validate({"mode": mode, "keys": named, "trigger": f"command {uuid4()}"})
    except ValidationError as error:
        fault = error.errors()[0]
        raise UsageError(f"--keys: {'.'.join(map(str, fault['loc'][1:]))}: {fault['msg']}.") from error


def _parse(text: str) -> tuple[str, list[int]]:
    table, separator, numbers = text.partition("=")
    try:
        # A full-refresh table is extracted whole, so it needs no keys.
        return table, [int(number) for number in numbers.split(",")] if separator else []
    except ValueError:
        raise UsageError(f"--keys {text!r} names no rows. Write the table and its keys: TABLE=17,4.") from None
