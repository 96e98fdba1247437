"""The message that a call of `totesys trigger` means. Pure but for the name that tells its runs from others."""

from collections.abc import Sequence
from typing import Literal
from uuid import uuid4

from pydantic import ValidationError

from totesys.stage_names import Stage
from totesys.triggers import ExtractTrigger, LoadTrigger, RunsTrigger, Trigger
from totesys_cli.errors import BadInput

Mode = Literal["changes", "full", "sweep", "repair"]


def make_trigger(stage: Stage, mode: Mode | None, keys: Sequence[str], *, verify: bool) -> Trigger:
    """The wake-up. Raises BadInput for options that this stage does not know, and for keys that are none."""
    if stage != "ingest" and (mode or keys):
        raise BadInput(f"--mode and --keys are ingest's; {stage} does what is undone. Leave them out.")
    if stage != "load" and verify:
        raise BadInput(f"--verify is load's, not {stage}'s. Leave it out, or trigger load.")
    if bool(keys) != (mode == "repair"):
        raise BadInput("--mode repair and --keys go together: --mode repair --keys TABLE=17,4.")
    if stage == "ingest":
        return _extraction(mode or "changes", keys)
    return LoadTrigger(verify=verify) if stage == "load" else RunsTrigger()


def _extraction(mode: Mode, keys: Sequence[str]) -> ExtractTrigger:
    named = dict(_parse(one) for one in keys)
    try:
        return ExtractTrigger.model_validate({"mode": mode, "keys": named, "trigger": f"command {uuid4()}"})
    except ValidationError as error:
        fault = error.errors()[0]
        raise BadInput(f"--keys: {'.'.join(map(str, fault['loc'][1:]))}: {fault['msg']}.") from error


def _parse(text: str) -> tuple[str, list[int]]:
    table, separator, numbers = text.partition("=")
    try:
        # Without numbers: a table that comes whole anyway.
        return table, [int(number) for number in numbers.split(",")] if separator else []
    except ValueError:
        raise BadInput(f"--keys {text!r} names no rows. Write the table and its keys: TABLE=17,4.") from None
