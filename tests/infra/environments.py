"""Environments with each preset and option, and their templates."""

from functools import cache
from typing import Any, get_args

from totesys_infra.environment import Environment
from totesys_infra.sizing import Egress, Preset
from totesys_infra.stacks.cdk_app import synthesise

PRESETS: tuple[Preset, ...] = get_args(Preset)
EGRESSES: tuple[Egress, ...] = get_args(Egress)
SECRET = "arn:aws:secretsmanager:eu-west-2:123456789012:secret"
PARAMETER = "arn:aws:ssm:eu-west-2:123456789012:parameter/totesys/source"
KEY = "arn:aws:kms:eu-west-2:123456789012:key/01234567-89ab-cdef-0123-456789abcdef"
OWN_SECRET = f"{SECRET}:totesys-warehouse-GhIjKl"
CERTIFICATE = "arn:aws:acm:eu-west-2:123456789012:certificate/01234567-89ab-cdef-0123-456789abcdef"
PEERED = {"secret": f"{SECRET}:totesys-source-AbCdEf", "peering": "pcx-0123456789abcdef0", "cidr": "10.7.0.0/16"}
READERS = ["sg-0123456789abcdef0", "10.9.0.0/16"]
OWN_VPC = {"vpc": "vpc-0123456789abcdef0", "subnets": ["subnet-0123456789abcdef0", "subnet-0123456789abcdef1"]}


def environment(sizing: Preset = "lean", **options: Any) -> Environment:
    """An environment of a preset, with options as in a TOML file."""
    required = {
        "name": "shop",
        "account": "123456789012",
        "region": "eu-west-2",
        "alert_email": "data@example.com",
        "source": {"secret": f"{SECRET}:totesys-source-AbCdEf"},
        "certificate": CERTIFICATE if options.get("http") == "alb" else None,
    }
    if "source" not in options and options.get("network", {}).get("egress") == "endpoints":
        # The only route to the source in a new VPC.
        required["source"] = PEERED
    return Environment.model_validate({**required, "sizing": sizing, **options})


def own_warehouse(sizing: Preset = "lean", **options: Any) -> Environment:
    """With an existing warehouse."""
    return environment(sizing, warehouse={"secret": OWN_SECRET}, **options)


def own_vpc(sizing: Preset = "lean", **options: Any) -> Environment:
    """In an existing VPC."""
    return environment(sizing, network=OWN_VPC, **options)


def own_everything() -> Environment:
    """In an existing VPC, with an existing warehouse and a load balancer."""
    return own_vpc("standard", warehouse={"secret": OWN_SECRET}, http="alb")


def few() -> dict[str, Environment]:
    """Every value of every option, and every pair of preset, egress and HTTP."""
    github = "shop/warehouse"
    return {
        # The faults are planted in the first.
        "standard": environment("standard", github_repository=github),
        "lean": environment(),
        "lean-spot": environment(spot=True, source={"secret": PARAMETER}, http="private-dns"),
        "lean-nat": environment(network={"egress": "nat"}, http="alb", github_repository=github),
        "lean-endpoints": environment(network={"egress": "endpoints"}),
        "standard-nat": environment("standard", network={"egress": "nat"}, http="alb", warehouse={"readers": READERS}),
        "standard-endpoints": environment("standard", network={"egress": "endpoints"}, exec=True),
        "high-availability": environment("high-availability", github_repository=github, github_provider="use"),
        "high-availability-endpoints": environment("high-availability", network={"egress": "endpoints"}, http="alb"),
        "another-model": environment(model="examples.rentals"),
        "own-warehouse": own_warehouse("high-availability", network={"egress": "public"}),
        "scheduled": environment("scheduled", github_repository=github, source={"secret": PARAMETER}),
        "scheduled-spot": environment(
            "scheduled", spot=True, network={"egress": "nat"}, schedules={"tick": "rate(1 hour)"}
        ),
        "own-vpc": own_vpc(),
        "own-everything": own_everything(),
    }


@cache
def templates_of(of: Environment) -> dict[str, dict[str, Any]]:
    """The templates of an environment by stack name, in the order of deployment; synthesised once."""
    return synthesise(of)
