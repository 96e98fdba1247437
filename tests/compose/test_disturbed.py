"""Containers that are killed, paused or cut off in the middle of a run: the warehouse ends complete, unaided."""

import asyncio
from contextlib import nullcontext
from random import Random
from subprocess import CalledProcessError

import pytest
from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_fixed

from tests.compose.disturbed import at_work, held_in_a_load
from tests.compose.stack import SERVICES, Stack, run
from tests.compose.truth import eventually, until_verified

# Whose run is at work when a container is disturbed.
DURING = {**{service: service for service in SERVICES}, "source": "ingest", "aws": "transform", "warehouse": "load"}
# A chance falls otherwise where the machine was slow to kill.
TRIES = 10
SECONDS_AWAY = 15.0


@pytest.fixture
def random(request: pytest.FixtureRequest, pytestconfig: pytest.Config) -> Random:
    """What is left to chance in a test, decided by the seed and the test's name."""
    seed = f"{pytestconfig.getoption('--seed')}/{request.node.name}"
    print(f"seed {seed}")
    return Random(seed)


@pytest.mark.parametrize("service", DURING)
async def test_a_container_that_is_killed_in_the_middle_of_a_run_loses_and_doubles_nothing(
    stack: Stack, service: str, random: Random
) -> None:
    for _ in range(TRIES):
        # A load is over sooner than an engine kills a container.
        hold = held_in_a_load(stack, random) if DURING[service] == "load" else nullcontext()
        async with hold:
            work = await at_work(stack, DURING[service], random)
            (container,) = stack.containers(service)
            run("docker", "kill", container)
            in_the_middle = not work.has_ended()
        run("docker", "start", container)
        await until_verified(stack)
        if in_the_middle:
            return
    pytest.fail(f"{service} was never killed in the middle of a run")


@pytest.mark.parametrize("service", ["transform", "warehouse"])
async def test_a_container_that_is_paused_goes_on_where_it_was(stack: Stack, service: str, random: Random) -> None:
    work = await at_work(stack, DURING[service], random)
    # The engine gives up where a process that its CPU limit holds up does not stop soon enough.
    Retrying(retry=retry_if_exception_type(CalledProcessError), wait=wait_fixed(1), stop=stop_after_delay(60))(
        stack, "pause", service
    )
    await asyncio.sleep(SECONDS_AWAY)
    stack("unpause", service)
    await eventually(lambda: asyncio.to_thread(work.has_ended))
    await until_verified(stack)


@pytest.mark.parametrize("service", ["ingest", "load", "aws"])
async def test_a_container_without_a_network_is_waited_for(stack: Stack, service: str, random: Random) -> None:
    await at_work(stack, DURING[service], random)
    (container,) = stack.containers(service)
    network = f"{stack.name}_default"
    run("docker", "network", "disconnect", network, container)
    await asyncio.sleep(SECONDS_AWAY)
    run("docker", "network", "connect", "--alias", service, network, container)
    await until_verified(stack)


async def test_the_whole_stack_comes_back_with_its_volumes(stack: Stack, random: Random) -> None:
    await at_work(stack, "load", random)
    stack("down")
    stack("up", "--wait")
    await until_verified(stack)


async def test_three_replicas_of_each_service_do_every_run_once(stack: Stack, random: Random) -> None:
    replicas = [part for service in SERVICES for part in ("--scale", f"{service}=3")]
    stack("up", "--wait", "--no-recreate", *replicas)
    for service in SERVICES:
        assert len(stack.containers(service)) == 3
    await at_work(stack, "load", random)
    await until_verified(stack)
    stack("up", "--wait", "--no-recreate")
    await until_verified(stack)
