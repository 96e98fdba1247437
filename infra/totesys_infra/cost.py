"""The estimated cost of a month, from `sizing.py` and `prices.py`. Pure."""

from dataclasses import dataclass

from totesys_infra import prices
from totesys_infra.environment import Environment
from totesys_infra.prices import HOURS, Price
from totesys_infra.sizing import Egress, Sizing, Task

TICKS, SWEEPS = 12 * HOURS, HOURS
GB = 1_000_000_000
# An idle long poll ends after 20 seconds.
POLLS = 3 * 60 * HOURS
# The share of Spot among the tasks beyond a service's first.
ON_SPOT = 0.8
ENDPOINTS = 5


@dataclass(frozen=True)
class RequestCounts:
    """The AWS requests that one message causes, counted by a proxy, and the bytes that it adds to the lake."""

    gets: int
    lists: int
    puts: int
    deletes: int
    sends: int
    bytes: int


CHANGED_A_SECOND = 50
# Counted on the local stack with 48,066 source rows: 15,000 changed rows in four tables (five minutes at that rate), no
# change, and the sweep.
BUSY = RequestCounts(gets=16, lists=4, puts=13, deletes=3, sends=3, bytes=1_682_781)
IDLE = RequestCounts(gets=3, lists=1, puts=2, deletes=1, sends=1, bytes=398)
SWEEP = RequestCounts(gets=29, lists=4, puts=25, deletes=3, sends=3, bytes=26_840)


@dataclass(frozen=True)
class Assumed:
    """Assumptions that were not measured; the estimate is as good as they are."""

    logs_gb: float = 1
    egress_gb: float = 5
    image_gb: float = 5
    build_minutes: int = 100
    secrets: int = 3


ASSUMED = Assumed()
# The custom metrics and alarms of an environment with its own RDS instance; a test counts them.
METRICS, ALARMS = 19, 24
# Load reads and lists the lake every minute for the freshness metric.
LOOKS = HOURS * 60


def month(sizing: Sizing, tick: RequestCounts = BUSY) -> dict[str, float]:
    """The lines of a month's bill in USD, with private DNS and only such ticks, without free tier."""
    tasks = sizing.tasks.values()
    copies = 2 if sizing.warehouse_multi_az else 1
    return {
        "Fargate, first task per service": sum(_task(task, prices.FARGATE_VCPU, prices.FARGATE_GB) for task in tasks),
        "Fargate, additional tasks": sum((task.minimum - 1) * _further(task) for task in tasks),
        "RDS instance": copies * HOURS * prices.RDS[sizing.warehouse_class].usd,
        "RDS storage": copies * sizing.warehouse_gib * prices.RDS_STORAGE.usd,
        "egress to AWS services": egress_cost(sizing),
        "S3 storage, added each month": _stored(tick) * prices.S3_GB.usd,
        "S3 requests": _asked(tick),
        "SQS": _messages(sizing, tick) * prices.SQS.usd,
        "logs": ASSUMED.logs_gb * prices.LOGS_GB.usd,
        "metrics, alarms, dashboard": METRICS * prices.METRIC.usd + ALARMS * prices.ALARM.usd + prices.DASHBOARD.usd,
        "KMS key and secrets": prices.KEY.usd + ASSUMED.secrets * prices.SECRET.usd,
        "images and builds": ASSUMED.image_gb * prices.ECR_GB.usd + ASSUMED.build_minutes * prices.BUILD_MINUTE.usd,
        "private DNS": prices.ZONE.usd,
    }


def egress_cost(sizing: Sizing, egress: Egress | None = None) -> float:
    """The monthly cost of the tasks' route to AWS. The gateway endpoint of S3 is free."""
    match egress or sizing.egress:
        case "public":
            return HOURS * prices.ADDRESS.usd * sum(task.minimum for task in sizing.tasks.values())
        case "nat":
            each = HOURS * (prices.NAT.usd + prices.ADDRESS.usd)
            return sizing.nat_gateways * each + ASSUMED.egress_gb * prices.NAT_GB.usd
        case "endpoints":
            hours = ENDPOINTS * sizing.endpoint_zones * HOURS
            return hours * prices.ENDPOINT.usd + ASSUMED.egress_gb * prices.ENDPOINT_GB.usd


def options(sizing: Sizing) -> dict[str, float]:
    """The monthly difference of each choice that deviates from the preset."""
    transform = sizing.tasks["transform"]
    egresses: dict[str, Egress] = {"public IPs": "public", "NAT": "nat", "interface endpoints": "endpoints"}
    return {
        **{f"egress through {name}": egress_cost(sizing, one) - egress_cost(sizing) for name, one in egresses.items()},
        "ALB instead of private DNS": _balancer(),
        "transform at its maximum all month": (transform.maximum - transform.minimum) * _further(transform),
        "no changes all month": total(sizing, IDLE) - total(sizing),
        "existing warehouse": -_instance(sizing),
    }


def of(environment: Environment) -> float:
    """The monthly cost of an environment in USD: its preset, with its own choices."""
    sizing, network = environment.preset, environment.network
    usd = total(sizing) - egress_cost(sizing)
    if not network.vpc:
        usd += egress_cost(sizing, environment.egress)
    elif network.egress == "public":
        usd += egress_cost(sizing, "public")
    if environment.http == "alb":
        usd += _balancer()
    return usd - _instance(sizing) if environment.warehouse.secret else usd


def total(sizing: Sizing, tick: RequestCounts = BUSY) -> float:
    """The sum of a month's bill in USD."""
    return sum(month(sizing, tick).values())


def _balancer() -> float:
    return HOURS * (prices.BALANCER.usd + prices.BALANCER_UNIT.usd) - prices.ZONE.usd


def _instance(sizing: Sizing) -> float:
    return sum(usd for line, usd in month(sizing).items() if line.startswith("RDS"))


def _task(task: Task, vcpu: Price, gb: Price) -> float:
    return HOURS * (task.cpu / 1024 * vcpu.usd + task.memory / 1024 * gb.usd)


def _further(task: Task) -> float:
    on_demand = _task(task, prices.FARGATE_VCPU, prices.FARGATE_GB)
    return (1 - ON_SPOT) * on_demand + ON_SPOT * _task(task, prices.SPOT_VCPU, prices.SPOT_GB)


def _stored(tick: RequestCounts) -> float:
    return (TICKS * tick.bytes + SWEEPS * SWEEP.bytes) / GB


def _asked(tick: RequestCounts) -> float:
    writes = TICKS * (tick.puts + tick.lists) + SWEEPS * (SWEEP.puts + SWEEP.lists)
    reads = TICKS * tick.gets + SWEEPS * SWEEP.gets
    return (writes + LOOKS) * prices.S3_WRITE.usd + (reads + LOOKS) * prices.S3_READ.usd


def _messages(sizing: Sizing, tick: RequestCounts) -> float:
    polls = POLLS * sum(task.minimum for task in sizing.tasks.values())
    return polls + sum(times * (work.deletes + work.sends) for times, work in ((TICKS, tick), (SWEEPS, SWEEP)))
