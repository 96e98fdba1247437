"""Whole environments, deployed with real containers as ECS tasks by the code that deploys to AWS."""

import json
import time
from pathlib import Path

import pytest

from tests.command import Command
from tests.compose.stack import run
from tests.compose.truth import eventually
from tests.deployment.bridge import Bridge
from tests.deployment.confined import deployed_with
from tests.deployment.lacking import RESOURCES
from tests.deployment.rehearsal import POLLING, Rehearsal, rehearsal
from tests.deployment.releases import REFUSES_RUNS, Release
from tests.sources import execute, make_company, value, verified
from totesys.lake import keys
from totesys.model import MODEL
from totesys_infra.deploy.cloudformation import delete, describe
from totesys_infra.deploy.destroy import destroy
from totesys_infra.deploy.failures import SmokeFailed
from totesys_infra.deploy.up import roll_back
from totesys_infra.names import STACKS

FIRST, SECOND = Release("first"), Release("second")
FAULTY = Release("faulty", {"load": REFUSES_RUNS})
CHANGE = "UPDATE payment SET payment_amount = payment_amount + 1, last_updated = now() WHERE payment_id % 7 = 0"


async def loaded(place: Rehearsal) -> bool:
    """Whether the warehouse shows the payments of the source."""
    paid = "SELECT sum(payment_amount) FROM"
    shown = await value(place.warehouse, f"{paid} warehouse.fact_payment_current")
    return bool(shown == await value(place.source, f"{paid} payment"))


def destroyed(place: Rehearsal) -> None:
    names, aws = place.deployment.names, place.deployment.aws
    destroy(place.deployment, [*map(names.stack, STACKS)], delete_data=False)
    assert [of for of in STACKS if describe(place.deployment, names.stack(of))] == ["data-plane"]
    assert place.containers() == {}
    assert aws.s3.list_objects_v2(Bucket=names.bucket("processed"), Prefix=keys.RUNS)["KeyCount"]


def exit_codes(place: Rehearsal, since: float) -> set[str]:
    """The exit codes of all containers of its tasks that ended."""
    chosen = ("--filter", "event=die", "--filter", place.of_its_tasks, "--format", "{{json .}}")
    told = run("docker", "events", "--since", f"{since:.3f}", "--until", f"{time.time():.3f}", *chosen)
    return {json.loads(line)["Actor"]["Attributes"]["exitCode"] for line in told.splitlines()}


def triggers(place: Rehearsal) -> set[str]:
    """What triggered the runs of the lake."""
    s3, bucket = place.deployment.aws.s3, place.deployment.names.bucket("ingest")
    found = s3.list_objects_v2(Bucket=bucket, Prefix=keys.RUNS).get("Contents", [])
    bodies = (s3.get_object(Bucket=bucket, Key=one["Key"])["Body"].read() for one in found)
    return {json.loads(body)["trigger"] for body in bodies}


def test_only_what_the_emulator_lacks_is_left_out() -> None:
    from ministack.services.cloudformation import provisioners

    assert not RESOURCES.keys() & provisioners._RESOURCE_HANDLERS.keys()


async def test_lean_with_its_own_warehouse_from_its_first_release_to_its_end(on_bridge: Bridge, tmp_path: Path) -> None:
    started = time.time()
    with rehearsal(on_bridge, tmp_path, "lean", own_warehouse=True) as place:
        await make_company(place.source)
        place.up(FIRST)
        await deployed_with(place, FIRST)

        await execute(place.source, CHANGE)
        await eventually(lambda: loaded(place))
        assert "schedule" in triggers(place)
        assert await verified(place.source, place.warehouse, MODEL)

        place.up(SECOND)
        await deployed_with(place, SECOND)

        with pytest.raises(SmokeFailed, match=r"a planted fault(.|\n)*Rolled back: .* is deployed again"):
            place.up(FAULTY)
        await deployed_with(place, SECOND)
        # Its smoke test also waits for the run that the faulty release left.
        roll_back(place.deployment, [place.deployment.names.stack("services")], None, POLLING)
        await deployed_with(place, FIRST)
        destroyed(place)
        assert exit_codes(place, started) == {"0"}


async def test_standard_with_a_warehouse_of_the_company_until_its_lake_is_adopted(
    on_bridge: Bridge, tmp_path: Path
) -> None:
    with rehearsal(on_bridge, tmp_path, "standard", own_warehouse=False) as place:
        await make_company(place.source)
        place.up(FIRST)
        await deployed_with(place, FIRST)
        with Command.that_leaves_nothing(tmp_path) as totesys:
            ended = totesys("verify", "--source", place.source, "--warehouse", place.warehouse)
        assert ended.code == 0, ended.words

        destroyed(place)
        delete(place.deployment, place.environment.name)
        assert describe(place.deployment, place.environment.name) is None
        # The emulator calls every change of an adopted bucket one that may replace it.
        place.up(SECOND, accept_data_loss=True)
        assert f"{place.environment.name}: adopts" in "\n".join(place.told)
        await deployed_with(place, SECOND)
