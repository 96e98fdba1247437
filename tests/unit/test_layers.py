"""Packages import only packages below them, and no two modules import each other."""

import ast
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = {
    "totesys": ROOT / "shared",
    "totesys_console": ROOT / "console",
    "totesys_simulation": ROOT / "simulation",
    "totesys_ingest": ROOT / "services/ingest",
    "totesys_transform": ROOT / "services/transform",
    "totesys_load": ROOT / "services/load",
    "totesys_lakehouse": ROOT / "services/lakehouse",
    "totesys_infra": ROOT / "infra",
    "totesys_cli": ROOT / "cli",
    "bench": ROOT,
}
SERVICES = {"totesys_ingest", "totesys_transform", "totesys_load", "totesys_lakehouse"}
SERVICE_MAY = {"totesys", "totesys_console"}
MAY_IMPORT = {
    "totesys": set(),
    "totesys_console": {"totesys"},
    "totesys_simulation": {"totesys"},
    **dict.fromkeys(SERVICES, SERVICE_MAY),
    "totesys_infra": {"totesys"},
    "totesys_cli": {"totesys", "totesys_infra", "totesys_simulation", *SERVICES},
    "bench": {"totesys", "totesys_infra", "totesys_simulation", "totesys_cli", *SERVICES},
}

# Packages in which not even imports inside functions form a cycle.
WITHOUT_LATE_CYCLES = {"totesys_cli"}


@cache
def modules(package: str) -> dict[str, Path]:
    """The files of a package's modules, by full module name."""
    found = {}
    for file in sorted((FOLDERS[package] / package).rglob("*.py")):
        parts = file.relative_to(FOLDERS[package]).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = file
    return found


def imported(file: Path, known: set[str], *, late: bool = True) -> Iterator[str]:
    """Our modules that a file imports; with `late`, also inside functions and for type checking."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    for node in ast.walk(tree) if late else tree.body:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in known)
        elif isinstance(node, ast.ImportFrom) and node.module:
            inner = {f"{node.module}.{alias.name}" for alias in node.names} & known
            yield from inner or ({node.module} & known)


@pytest.mark.parametrize("package", FOLDERS)
def test_a_package_imports_only_packages_below_it(package: str) -> None:
    everything = {name for other in FOLDERS for name in modules(other)}
    wrong = {
        (module, other)
        for module, file in modules(package).items()
        for other in imported(file, everything)
        if other.partition(".")[0] not in {package, *MAY_IMPORT[package]}
    }
    assert not wrong


@pytest.mark.parametrize("package", FOLDERS)
def test_no_two_modules_import_each_other(package: str) -> None:
    known = set(modules(package))
    late = package in WITHOUT_LATE_CYCLES
    needs = {module: set(imported(file, known, late=late)) - {module} for module, file in modules(package).items()}
    while leaves := {module for module, others in needs.items() if not others & needs.keys()}:
        needs = {module: others for module, others in needs.items() if module not in leaves}
    assert not needs


def test_no_two_modules_have_the_same_name() -> None:
    names = Counter(file.name for package in FOLDERS for file in modules(package).values())
    conventional = {"__init__.py", "__main__.py"}
    assert [name for name, times in names.items() if times > 1 and name not in conventional] == []
