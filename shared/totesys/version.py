"""The version of this software, and the commit that it was built from."""

import os
import re
import subprocess
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path

# Of every package: they are released together.
VERSION = version("totesys")
# Where this file is, if it is in a checkout.
CHECKOUT = Path(__file__).parents[2]
# What an image has of its build, which defaults to `unknown`.
VARIABLE, UNKNOWN = "TOTESYS_REVISION", "unknown"


def describe(version: str, revision: str | None) -> str:
    """`0.1.0 (e503d39)`; the version alone if the commit is not known. A full SHA-1 is shortened."""
    if revision is None:
        return version
    return f"{version} ({revision[:7] if re.fullmatch('[0-9a-f]{40}', revision) else revision})"


def find_revision(checkout: Path = CHECKOUT, environment: Mapping[str, str] = os.environ) -> str | None:
    """The commit: HEAD in a checkout, elsewhere what the build of the image passed on; None if neither knows it."""
    passed_on = environment.get(VARIABLE, UNKNOWN)
    return _head(checkout / ".git") or (passed_on if passed_on not in ("", UNKNOWN) else None)


def _head(repository: Path) -> str | None:
    """The SHA-1 of a repository's HEAD, if there is one and git can tell."""
    if not repository.exists():
        return None
    # Named by an option: in a hook, git's own variables may name another repository.
    command = ["git", f"--git-dir={repository}", "rev-parse", "--verify", "--quiet", "HEAD"]
    try:
        called = subprocess.run(command, capture_output=True, text=True, timeout=5)
    except (OSError, subprocess.TimeoutExpired):
        # Without git, or with one that hangs, the version is still known.
        return None
    return called.stdout.strip() or None if called.returncode == 0 else None
