"""The addresses of a new VPC's subnets, fixed by tier and zone: another preset or egress moves none of them. Pure."""

from collections.abc import Iterator
from ipaddress import IPv4Network
from typing import Literal

Tier = Literal["Tasks", "Data", "Nat"]
ZONES = 3
# Of a quarter of the VPC, which is a zone's: half for tasks, a quarter each for the database and the NAT gateway.
_WITHIN_ZONE: dict[Tier, tuple[int, int]] = {"Tasks": (1, 0), "Data": (2, 2), "Nat": (2, 3)}


def subnet(vpc: str, tier: Tier, zone: int) -> str:
    """The range of a tier's subnet in a zone (0 to 2) of a VPC of /16 to /24."""
    in_zone = list(IPv4Network(vpc).subnets(prefixlen_diff=2))[zone]
    diff, position = _WITHIN_ZONE[tier]
    return str(list(in_zone.subnets(prefixlen_diff=diff))[position])


def subnets(vpc: str) -> Iterator[str]:
    """The range of every subnet that a VPC can have."""
    return (subnet(vpc, tier, zone) for tier in _WITHIN_ZONE for zone in range(ZONES))
