"""Sizing presets: how large, how many, and how safe against the loss of a machine or a zone."""

from dataclasses import dataclass
from typing import Literal

from totesys_infra.names import Service

Preset = Literal["lean", "standard", "high-availability"]
Egress = Literal["public", "nat", "endpoints"]


@dataclass(frozen=True)
class Task:
    """A Fargate task: CPU units (1,024 a vCPU), memory in MiB, and how many of them."""

    cpu: int
    memory: int
    minimum: int = 1
    maximum: int = 1


@dataclass(frozen=True)
class Sizing:
    """What a preset stands for; `nat_gateways` counts where egress is through NAT."""

    tasks: dict[Service, Task]
    zones: int
    egress: Egress
    nat_gateways: int
    warehouse_class: str
    warehouse_gib: int
    warehouse_multi_az: bool
    backup_days: int


PRESETS: dict[Preset, Sizing] = {
    "lean": Sizing(
        tasks={"ingest": Task(256, 512), "transform": Task(256, 1024, maximum=2), "load": Task(256, 512)},
        zones=2,
        egress="public",
        nat_gateways=1,
        warehouse_class="t4g.micro",
        warehouse_gib=20,
        warehouse_multi_az=False,
        backup_days=1,
    ),
    "standard": Sizing(
        tasks={"ingest": Task(512, 1024), "transform": Task(1024, 2048, maximum=4), "load": Task(512, 1024)},
        zones=2,
        egress="nat",
        nat_gateways=1,
        warehouse_class="t4g.medium",
        warehouse_gib=50,
        warehouse_multi_az=False,
        backup_days=7,
    ),
    "high-availability": Sizing(
        tasks={
            "ingest": Task(1024, 2048, minimum=2, maximum=2),
            "transform": Task(1024, 4096, minimum=2, maximum=8),
            "load": Task(1024, 2048),
        },
        zones=3,
        egress="nat",
        nat_gateways=3,
        warehouse_class="m7g.large",
        warehouse_gib=100,
        warehouse_multi_az=True,
        backup_days=14,
    ),
}
