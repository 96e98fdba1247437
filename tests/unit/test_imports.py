"""A service needs only what it declares: its image holds nothing else."""

import subprocess
import sys
from importlib.metadata import packages_distributions, requires

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

SERVICES = ("ingest", "transform", "load")
IMPORTED = "import sys, totesys.model, totesys.service.main, totesys_{0}.stage; print(*sys.modules)"


def declared(distribution: str) -> set[str]:
    """The distribution with all that it needs, and that these need."""
    found: set[str] = set()
    waiting = [Requirement(distribution)]
    while waiting:
        wanted = waiting.pop()
        name = canonicalize_name(wanted.name)
        if name not in found or wanted.extras:
            found.add(name)
            needs = map(Requirement, requires(name) or [])
            extras = [{"extra": extra} for extra in ("", *wanted.extras)]
            waiting += [need for need in needs if not need.marker or any(map(need.marker.evaluate, extras))]
    return found


def imported(service: str) -> set[str]:
    """The distributions that a service's process imports until it serves."""
    call = [sys.executable, "-c", IMPORTED.format(service)]
    modules = subprocess.run(call, check=True, capture_output=True, text=True).stdout.split()
    of = packages_distributions()
    return {canonicalize_name(name) for module in modules if "." not in module for name in of.get(module, [])}


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_imports_only_what_it_declares(service: str) -> None:
    used = imported(service)
    assert {"aiobotocore", "fastapi"} <= used
    assert used <= declared(f"totesys-{service}")


@pytest.mark.parametrize(("service", "absent"), [("ingest", {"polars", "pyarrow"}), ("load", {"polars"})])
def test_what_is_large_is_declared_only_where_it_is_used(service: str, absent: set[str]) -> None:
    assert not absent & declared(f"totesys-{service}")
