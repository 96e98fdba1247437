"""Sizing presets: task sizes and counts, and protection against the loss of a machine or a zone. Pure."""

from dataclasses import dataclass, replace
from typing import Literal

from totesys_infra.addresses import ZONES
from totesys_infra.names import Service

Preset = Literal["scheduled", "lean", "standard", "high-availability"]
Egress = Literal["public", "nat", "endpoints"]
Http = Literal["none", "private-dns", "alb"]


@dataclass(frozen=True)
class Task:
    """A Fargate task: CPU units (1,024 per vCPU), memory in MiB, and the number of tasks."""

    cpu: int
    memory: int
    minimum: int = 1
    maximum: int = 1


@dataclass(frozen=True)
class Sizing:
    """The sizes of a preset. docs/cost.md has the cost of each, and a test compares the two.

    `nat_gateways` counts with egress "nat"; `endpoint_zones`, the zones in which each endpoint has an address, with
    "endpoints". With `task`, one task runs all services, and `tasks` has the share of each container.
    """

    tasks: dict[Service, Task]
    endpoint_zones: int
    egress: Egress
    nat_gateways: int
    warehouse_class: str
    warehouse_gib: int
    warehouse_multi_az: bool
    backup_days: int
    images_kept: int
    # The sum of docs/cost.md, rounded.
    usd_a_month: int
    task: Task | None = None
    # Whether that task starts at each tick and ends with its work.
    scheduled: bool = False

    @property
    def frugal(self) -> bool:
        """Whether it has one task, few metrics and alarms, and no dashboard, HTTP or key by default."""
        return self.task is not None

    @property
    def http(self) -> Http:
        """HTTP access to the services, unless the environment chooses."""
        return "none" if self.frugal else "private-dns"

    @property
    def tick(self) -> str:
        """The interval of extractions, unless the environment chooses."""
        return "rate(15 minutes)" if self.scheduled else "rate(5 minutes)"


_LEAN = Sizing(
    tasks={"ingest": Task(256, 512), "transform": Task(256, 1024), "load": Task(256, 512)},
    task=Task(512, 2048),
    endpoint_zones=2,
    egress="public",
    nat_gateways=1,
    warehouse_class="t4g.micro",
    warehouse_gib=20,
    warehouse_multi_az=False,
    backup_days=1,
    images_kept=5,
    usd_a_month=39,
)
PRESETS: dict[Preset, Sizing] = {
    # One container after the other, so that each may use the whole task.
    "scheduled": replace(
        _LEAN,
        tasks={service: Task(512, 1024) for service in _LEAN.tasks},
        task=Task(512, 1024),
        scheduled=True,
        usd_a_month=20,
    ),
    "lean": _LEAN,
    "standard": Sizing(
        tasks={"ingest": Task(256, 1024), "transform": Task(1024, 2048, maximum=4), "load": Task(512, 1024)},
        endpoint_zones=2,
        egress="public",
        nat_gateways=1,
        warehouse_class="t4g.small",
        warehouse_gib=50,
        warehouse_multi_az=False,
        backup_days=7,
        images_kept=15,
        usd_a_month=110,
    ),
    "high-availability": Sizing(
        tasks={
            "ingest": Task(1024, 2048, minimum=2, maximum=2),
            "transform": Task(1024, 4096, minimum=2, maximum=8),
            "load": Task(1024, 2048),
        },
        endpoint_zones=3,
        egress="nat",
        nat_gateways=3,
        warehouse_class="t4g.medium",
        warehouse_gib=100,
        warehouse_multi_az=True,
        backup_days=14,
        images_kept=15,
        usd_a_month=375,
    ),
}

# The regions in which a new account gets fewer than three zones.
_FEW_ZONES = {"us-west-1": 2}


def zones(region: str) -> int:
    """The number of availability zones of a new VPC's subnets."""
    return _FEW_ZONES.get(region, ZONES)


def sizing(preset: Preset, region: str) -> Sizing:
    """The sizes of a preset in a region."""
    most, found = zones(region), PRESETS[preset]
    return replace(found, nat_gateways=min(found.nat_gateways, most), endpoint_zones=min(found.endpoint_zones, most))
