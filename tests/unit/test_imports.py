"""A service imports only what it declares: its image contains nothing else."""

import re
import subprocess
import sys
import tomllib
from functools import cache
from importlib.metadata import packages_distributions, requires
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name, parse_wheel_filename

ROOT = Path(__file__).parents[2]
LOCK = ROOT / "uv.lock"
MACHINES = ("x86_64", "aarch64")
# The names of the wheels' platforms for Macs with Apple silicon.
MACS = ("arm64", "universal2")
# Of the images: this Python, or any version's stable interface.
PYTHONS = ("cp313", "abi3", "none")
SERVICES = ("ingest", "transform", "load", "lakehouse")
# As if nothing were installed but what is declared.
STARTED = """
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name in {absent}:
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Absent())
import totesys.model, totesys.service.server, totesys_{service}.{service}_stage"""


def declared(distribution: str) -> set[str]:
    """The distribution and its dependencies, direct and indirect."""
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


def wheels(distribution: str) -> list[str]:
    """The names of a distribution's wheels in the lock file."""
    found = [package.get("wheels", []) for package in _locked() if package["name"] == distribution]
    return [wheel["url"].rpartition("/")[2] for several in found for wheel in several]


@cache
def _locked() -> list[dict[str, Any]]:
    packages: list[dict[str, Any]] = tomllib.loads(LOCK.read_text())["package"]
    return packages


def runs_on(wheel: str, machine: str) -> bool:
    *_, tags = parse_wheel_filename(wheel)
    return any(
        tag.abi in PYTHONS and (tag.platform == "any" or ("manylinux" in tag.platform and machine in tag.platform))
        for tag in tags
    )


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("service", [*SERVICES, "cli[report]"])
def test_an_image_can_be_built_for_either_processor_without_a_compiler(service: str, machine: str) -> None:
    own = {"totesys", *(f"totesys-{one}" for one in (*SERVICES, "cli", "console", "infra", "simulation"))}
    for name in declared(f"totesys-{service}") - own:
        assert any(runs_on(wheel, machine) for wheel in wheels(name)), f"{name} has no wheel for {machine}"


def runs_on_a_mac(wheel: str) -> bool:
    *_, tags = parse_wheel_filename(wheel)
    return any(
        tag.abi in PYTHONS
        and (tag.platform == "any" or (tag.platform.startswith("macosx") and tag.platform.endswith(MACS)))
        for tag in tags
    )


def test_the_command_can_be_installed_on_a_mac_without_a_compiler() -> None:
    own = {"totesys", *(f"totesys-{one}" for one in (*SERVICES, "cli", "console", "infra", "simulation"))}
    lacking = {name for name in declared("totesys-cli[report]") - own if not any(map(runs_on_a_mac, wheels(name)))}
    assert lacking == set()


def test_images_are_made_by_the_version_of_uv_that_make_uses() -> None:
    files = ("Makefile", "services/Dockerfile")
    assert len({re.findall(r"UV_VERSION *:?= *([0-9.]+)", (ROOT / name).read_text())[0] for name in files}) == 1
