"""A first load of more than a million orders: it fits into the services' small memory."""

from collections.abc import Callable
from pathlib import Path

from tests.compose.stack import SERVICES, Stack, run
from tests.compose.truth import eventually, until_verified
from tests.sources import value
from totesys.log_events import LogEvent

# Times the company's 15,836 orders.
SCALE = 63.2
MIB = 2**20
PEAK = "cat /sys/fs/cgroup/memory.peak 2>/dev/null || cat /sys/fs/cgroup/memory/memory.max_usage_in_bytes"


async def test_a_first_load_of_a_million_orders_fits_into_the_memory_of_small_tasks(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    large = Stack("totesys-test-large", tmp_path, TOTESYS_SCALE=str(SCALE))
    with large.compose:
        orders = "SELECT (SELECT count(*) FROM sales_order) + (SELECT count(*) FROM purchase_order)"
        assert await value(large.dsn("source"), orders) > 1_000_000

        async def complete() -> bool:
            return any(line["complete"] for line in large.events("load", LogEvent.RUN_COMPLETED))

        await eventually(complete, seconds=600)
        await until_verified(large)
        for service in SERVICES:
            state, limit = large.inspect(service), large.inspect(service)["HostConfig"]["Memory"]
            peak = int(large.compose.exec_in_container(["sh", "-c", PEAK], service)[0])
            print(f"{service}: at most {peak / MIB:.0f} of {limit / MIB:.0f} MiB")
            record_property(f"peak of {service}, MiB", round(peak / MIB))
            assert (state["RestartCount"], state["State"]["OOMKilled"]) == (0, False)
            assert peak < limit
    assert _left(large) == []


def _left(stack: Stack) -> list[str]:
    """What the engine still has of a stack."""
    label = f"label=com.docker.compose.project={stack.name}"
    kinds = (("ps", "--all"), ("network", "ls"), ("volume", "ls"))
    return [left for kind in kinds for left in run("docker", *kind, "--quiet", "--filter", label).split()]
