"""The version of this software, and the commit it was built from."""

import os
import re
import subprocess
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path

# Of all packages, which are released together.
VERSION = version("totesys")
# The root of the checkout, if this file is in one.
CHECKOUT = Path(__file__).parents[2]
# Set in images by their build.
VARIABLE, UNKNOWN = "TOTESYS_REVISION", "unknown"


def describe(version: str, revision: str | None) -> str:
    """`0.1.0 (e503d39)`, or only the version if the commit is unknown. Shortens a full SHA-1."""
    if revision is None:
        return version
    return f"{version} ({revision[:7] if re.fullmatch('[0-9a-f]{40}', revision) else revision})"


def find_revision(checkout: Path = CHECKOUT, environment: Mapping[str, str] = os.environ) -> str | None:
    """The commit: HEAD in a checkout, else that of the image's build; None if it is unknown."""
    built_from = environment.get(VARIABLE, UNKNOWN)
    return _head(checkout / ".git") or (built_from if built_from not in ("", UNKNOWN) else None)


def _head(repository: Path) -> str | None:
    """The SHA-1 of a repository's HEAD; None without a repository or git."""
    if not repository.exists():
        return None
    # As an option: in a hook, git's variables may name another repository.
    command = ["git", f"--git-dir={repository}", "rev-parse", "--verify", "--quiet", "HEAD"]
    try:
        called = subprocess.run(command, capture_output=True, text=True, timeout=5)
    except (OSError, subprocess.TimeoutExpired):
        # Without git, or if it hangs, the version is still known.
        return None
    return called.stdout.strip() or None if called.returncode == 0 else None
