"""The compose file and its settings."""

import re
import shutil
import subprocess
from pathlib import Path

from tests.compose.stack import PROJECT

COMPOSE = PROJECT / "docker-compose.yml"
EXAMPLE = PROJECT / ".env.example"


def config(folder: Path) -> "subprocess.CompletedProcess[str]":
    """What compose makes of the file, with all that has a profile."""
    return subprocess.run(
        ["docker", "compose", "--profile", "*", "config"], cwd=folder, capture_output=True, text=True, check=False
    )


def test_the_file_is_clean() -> None:
    checked = config(PROJECT)
    assert (checked.returncode, checked.stderr) == (0, "")


def test_the_example_names_every_setting_with_its_default(tmp_path: Path) -> None:
    given = dict(re.findall(r"\$\{(\w+):-([^}]*)\}", COMPOSE.read_text()))
    assert "${" not in re.sub(r"\$\{\w+:-[^}]*\}", "", COMPOSE.read_text())
    lines = [line.lstrip("# ") for line in EXAMPLE.read_text().splitlines() if "=" in line]
    # COMPOSE_PROFILES is a variable of compose itself.
    assert dict(line.split("=", 1) for line in lines if not line.startswith("COMPOSE_")) == given
    for part in ("docker-compose.yml", "services", "shared"):
        (tmp_path / part).symlink_to(PROJECT / part)
    plain = config(tmp_path).stdout
    shutil.copy(EXAMPLE, tmp_path / ".env")
    assert config(tmp_path).stdout == plain
