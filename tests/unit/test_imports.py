"""A service needs only what it declares: its image holds nothing else."""

import subprocess
import sys
from importlib.metadata import packages_distributions, requires

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

SERVICES = ("ingest", "transform", "load")
# As if nothing were installed but what is declared.
STARTED = """
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name in {absent}:
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Absent())
import totesys.model, totesys.service.main, totesys_{service}.stage"""


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


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_imports_only_what_it_declares(service: str) -> None:
    held = declared(f"totesys-{service}")
    installed = packages_distributions()
    absent = {module for module, owners in installed.items() if not held & {*map(canonicalize_name, owners)}}
    assert "typer" in absent
    subprocess.run([sys.executable, "-c", STARTED.format(absent=absent, service=service)], check=True)


@pytest.mark.parametrize(("service", "absent"), [("ingest", {"polars", "pyarrow"}), ("load", {"polars"})])
def test_what_is_large_is_declared_only_where_it_is_used(service: str, absent: set[str]) -> None:
    assert not absent & declared(f"totesys-{service}")
