"""The wheels alone are enough: the demo runs from them on a machine without the repository."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = {"cli", "console", "infra", "ingest", "lakehouse", "load", "simulation", "transform"}
LONGEST = 900.0


@pytest.mark.long
@pytest.mark.timeout(LONGEST)
def test_the_demo_runs_from_the_wheels_in_an_empty_folder(tmp_path: Path) -> None:
    uv = shutil.which("uv") or str(ROOT / ".uv/bin/uv")
    wheels, empty = tmp_path / "wheels", tmp_path / "empty"
    empty.mkdir()
    build = [uv, "build", "--all-packages", "--wheel", "--quiet", "--out-dir", str(wheels)]
    subprocess.run(build, cwd=ROOT, check=True, timeout=LONGEST)
    names = {wheel.name.partition("-")[0] for wheel in wheels.glob("*.whl")}
    assert names == {"totesys", *(f"totesys_{package}" for package in PACKAGES)}

    # Of this environment, only what a user's machine has too.
    environment = {name: text for name, text in os.environ.items() if not name.startswith(("TOTESYS_", "PYTHON"))}
    environment.pop("VIRTUAL_ENV", None)
    (command,) = wheels.glob("totesys_cli-*.whl")
    run = [
        uv,
        "tool",
        "run",
        "--quiet",
        "--find-links",
        str(wheels),
        "--from",
        str(command),
        "totesys",
        "demo",
        "--once",
    ]
    demo = subprocess.run(
        run,
        cwd=empty,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=LONGEST,
    )
    assert demo.returncode == 0, demo.stdout + demo.stderr
    assert "equal" in demo.stdout
