"""An environment can change to any other preset or option: no subnet moves, no export in use goes, no data is lost."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from ipaddress import IPv4Network
from itertools import permutations
from typing import Any

import pytest
from cfnlint.schema.manager import PROVIDER_SCHEMA_MANAGER

from tests.infra.environments import environment, few, templates_of
from totesys_infra.addresses import subnets
from totesys_infra.deploy.change import CHANGED_IN_PLACE, HOLDS_DATA, REMADE, changed_disks
from totesys_infra.environment import Environment
from totesys_infra.stacks.cdk_app import data_plane

Template = dict[str, Any]
# Without existing VPCs, which are other networks.
ENVIRONMENTS = {name: one for name, one in few().items() if not one.network.vpc}
TRANSITIONS = list(permutations(ENVIRONMENTS, 2))


@dataclass
class Deployed:
    """The deployed stacks."""

    stacks: dict[str, Template] = field(default_factory=dict)

    def update(self, name: str, template: Template) -> Iterator[str]:
        """Update a stack; yields what CloudFormation would refuse or lose."""
        before = self.stacks.get(name, {"Resources": {}})
        yield from overlapping_subnets(before, template)
        yield from lost_data(before, template)
        self.stacks[name] = template
        exports = {
            one["Export"]["Name"]
            for t in self.stacks.values()
            for one in t.get("Outputs", {}).values()
            if "Export" in one
        }
        for other, body in self.stacks.items():
            if missing := set(imports(body)) - exports:
                yield f"{name} removes exports that {other} imports: {sorted(missing)}"


def imports(value: object) -> Iterator[str]:
    """The exports that a template imports."""
    if isinstance(value, dict):
        if "Fn::ImportValue" in value:
            yield value["Fn::ImportValue"]
        for inner in value.values():
            yield from imports(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from imports(inner)


def cidrs(template: Template) -> dict[str, str]:
    found = template["Resources"].items()
    return {key: one["Properties"]["CidrBlock"] for key, one in found if one["Type"] == "AWS::EC2::Subnet"}


def overlapping_subnets(before: Template, after: Template) -> Iterator[str]:
    """Subnets that move, and new ones that overlap old ones: CloudFormation creates before it deletes."""
    old, new = cidrs(before), cidrs(after)
    yield from (f"{key} moves from {old[key]} to {new[key]}" for key in old.keys() & new if old[key] != new[key])
    ranges = [IPv4Network(cidr) for cidr in (old | new).values()]
    yield from (f"{a} overlaps {b}" for a, b in permutations(ranges, 2) if a.overlaps(b))


def lost_data(before: Template, after: Template) -> Iterator[str]:
    """The resources with data that would be deleted or replaced."""
    for key, old in before["Resources"].items():
        if old["Type"] not in HOLDS_DATA or key.startswith(REMADE):
            continue
        new = after["Resources"].get(key)
        if new is None:
            yield f"{key} is removed"
        elif replacing := changed(old, new) & create_only(old["Type"]):
            yield f"{key} is replaced: {sorted(replacing)}"


def changed(old: Template, new: Template) -> set[str]:
    """The properties that differ."""
    both = (old.get("Properties", {}), new.get("Properties", {}))
    return {name for name in both[0].keys() | both[1].keys() if both[0].get(name) != both[1].get(name)}


def create_only(kind: str) -> set[str]:
    """The properties whose change may replace the resource, from the type's schema."""
    schema = PROVIDER_SCHEMA_MANAGER.get_resource_schema("eu-west-2", kind).schema
    paths = [*(schema.get("createOnlyProperties") or ()), *(schema.get("conditionalCreateOnlyProperties") or ())]
    return {path.split("/")[2] for path in paths} - CHANGED_IN_PLACE.get(kind, frozenset())


def refusals(before: Environment, after: Environment) -> list[str]:
    """The refusals of deploying one environment over another, stack by stack."""
    deployed = Deployed(dict(templates_of(before)))
    return [refusal for name, template in templates_of(after).items() for refusal in deployed.update(name, template)]


@pytest.mark.parametrize(("before", "after"), TRANSITIONS, ids=lambda name: name)
def test_every_preset_and_option_can_follow_every_other(before: str, after: str) -> None:
    assert refusals(ENVIRONMENTS[before], ENVIRONMENTS[after]) == []


@pytest.mark.parametrize("cidr", ["10.42.0.0/16", "10.0.0.0/20", "192.168.4.0/24"])
def test_the_subnets_of_a_vpc_are_within_it_apart_and_as_large_as_aws_and_a_balancer_need(cidr: str) -> None:
    ranges = [IPv4Network(one) for one in subnets(cidr)]
    assert all(one.subnet_of(IPv4Network(cidr)) for one in ranges)
    assert not [pair for pair in permutations(ranges, 2) if pair[0].overlaps(pair[1])]
    # AWS takes no less than /28 for a subnet, and a load balancer /27.
    assert all(one.prefixlen <= 28 for one in ranges)
    assert all(one.prefixlen <= 27 for one in ranges[:3])


def test_a_smaller_preset_keeps_the_disk_that_rds_cannot_shrink() -> None:
    large, small = (templates_of(environment(p))["shop-warehouse"] for p in ("high-availability", "lean"))
    assert list(changed_disks(large, small).values()) == [20]
    assert list(changed_disks(small, large).values()) == [100]
    kept = templates_of(environment("lean", warehouse={"storage_gib": 100}))["shop-warehouse"]
    assert changed_disks(large, kept) == {}


def test_us_west_1_has_two_zones() -> None:
    secret = "arn:aws:secretsmanager:us-west-1:123456789012:secret:totesys-source-AbCdEf"
    west = environment("high-availability", region="us-west-1", source={"secret": secret})
    template = templates_of(west)["shop-network"]
    kinds = [one["Type"] for one in template["Resources"].values()]
    zones = {
        str(one["Properties"]["AvailabilityZone"])
        for one in template["Resources"].values()
        if one["Type"] == "AWS::EC2::Subnet"
    }
    assert (len(zones), kinds.count("AWS::EC2::NatGateway")) == (2, 2)


def test_the_simulation_finds_planted_faults() -> None:
    """Planted faults of each kind."""
    network = templates_of(ENVIRONMENTS["standard"])["shop-network"]
    moved = {key: dict(one) for key, one in network["Resources"].items()}
    first, second = [key for key, one in moved.items() if one["Type"] == "AWS::EC2::Subnet"][:2]
    moved[first] = {**moved[first], "Properties": {**moved[first]["Properties"], "CidrBlock": cidrs(network)[second]}}
    found = list(overlapping_subnets(network, {**network, "Resources": moved}))
    assert any("moves from" in one for one in found)
    assert any("overlaps" in one for one in found)
    without = {**network, "Outputs": {}}
    assert any(
        "removes exports" in one
        for one in Deployed(dict(templates_of(ENVIRONMENTS["standard"]))).update("shop-network", without)
    )
    plane = data_plane()
    renamed = {**plane, "Resources": {}}
    assert any("is removed" in one for one in lost_data(plane, renamed))
    queue = {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": "a"}}
    other = {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": "b"}}
    assert list(lost_data({"Resources": {"Q": queue}}, {"Resources": {"Q": other}})) == ["Q is replaced: ['QueueName']"]
