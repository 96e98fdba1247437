"""`totesys trigger` sends only what the stage accepts."""

import pytest

from totesys.stage_names import Stage
from totesys.triggers import ExtractTrigger, LoadTrigger, RunsTrigger
from totesys_cli.command_errors import UsageError
from totesys_cli.trigger_message import Mode, make_trigger


def test_each_stage_gets_its_own_message() -> None:
    sweep = make_trigger("ingest", "sweep", [], verify=False)
    assert isinstance(sweep, ExtractTrigger)
    assert (sweep.mode, sweep.trigger.startswith("command ")) == ("sweep", True)
    repair = make_trigger("ingest", "repair", ["sales_order=17,4", "staff"], verify=False)
    assert isinstance(repair, ExtractTrigger)
    assert repair.keys == {"sales_order": (17, 4), "staff": ()}
    assert make_trigger("transform", None, [], verify=False) == RunsTrigger()
    assert make_trigger("load", None, [], verify=True) == LoadTrigger(verify=True)


@pytest.mark.parametrize(
    ("stage", "mode", "keys", "verify", "words"),
    [
        ("load", "full", [], False, "--mode and --keys are for ingest"),
        ("transform", None, [], True, "--verify is for load"),
        ("ingest", "repair", [], False, "go together"),
        ("ingest", "full", ["loan=1"], False, "go together"),
        ("ingest", "repair", ["loan=x"], False, "names no rows"),
        ("ingest", "repair", [f"loan={10**19}"], False, "less than or equal"),
    ],
)
def test_options_that_a_stage_does_not_know_are_refused(
    stage: Stage, mode: Mode | None, keys: list[str], verify: bool, words: str
) -> None:
    with pytest.raises(UsageError, match=words):
        make_trigger(stage, mode, keys, verify=verify)
