"""The repository holds what people write, and nothing that a command generates where it says that it is ignored."""

import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_no_file_is_tracked_that_is_ignored() -> None:
    command = ["git", "ls-files", "--cached", "--ignored", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert listed.splitlines() == []
