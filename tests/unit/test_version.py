"""All packages have the version of the workspace, shown with the commit if it is known."""

import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest

from totesys.version import VERSION, describe, find_revision

ROOT = Path(__file__).parents[2]
SHA = "e503d39b5c1a4f0e8d7c6b5a4938271605f4e3d2"


def project(folder: Path) -> dict[str, Any]:
    """The declaration of a package."""
    declared: dict[str, Any] = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    return declared


def members() -> list[Path]:
    """The folders of the packages of the workspace."""
    patterns = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["uv"]["workspace"]["members"]
    return [file.parent for pattern in patterns for file in sorted(ROOT.glob(f"{pattern}/pyproject.toml"))]


def make_repository(folder: Path) -> Path:
    for arguments in (["init", "--quiet"], ["config", "user.name", "A"], ["config", "user.email", "a@example.com"]):
        subprocess.run(["git", *arguments], cwd=folder, check=True)
    return folder


def commit(repository: Path) -> str:
    """Make a commit, and return its SHA-1."""
    options = ["--quiet", "--allow-empty", "--no-gpg-sign", "--message", "one"]
    subprocess.run(["git", "commit", *options], cwd=repository, check=True)
    asked = subprocess.run(["git", "rev-parse", "HEAD"], cwd=repository, check=True, capture_output=True, text=True)
    return asked.stdout.strip()


@pytest.mark.parametrize("folder", members(), ids=lambda folder: folder.name)
def test_a_package_has_the_version_and_the_licence_of_the_workspace(folder: Path) -> None:
    whole, member = project(ROOT), project(folder)
    assert member["version"] == whole["version"], "run `make version`"
    assert (member["license"], member["license-files"]) == ("MIT", ["LICENSE"])
    assert (folder / "LICENSE").read_text() == (ROOT / "LICENSE").read_text()


def test_the_version_that_is_shown_is_the_declared_one() -> None:
    assert project(ROOT)["version"] == VERSION, "run `make setup`"


def test_the_changelog_begins_with_the_declared_version() -> None:
    newest = re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert newest is not None
    assert newest[1] == project(ROOT)["version"]


@pytest.mark.parametrize(
    ("revision", "shown"),
    [(None, "0.1.0"), (SHA, "0.1.0 (e503d39)"), ("a-revision", "0.1.0 (a-revision)")],
)
def test_a_version_is_shown_with_its_commit_if_that_is_known(revision: str | None, shown: str) -> None:
    assert describe("0.1.0", revision) == shown


def test_in_a_checkout_the_commit_is_head(tmp_path: Path) -> None:
    head = commit(make_repository(tmp_path))
    assert find_revision(tmp_path, {}) == head
    assert find_revision(tmp_path, {"TOTESYS_REVISION": SHA}) == head


def test_a_hook_of_another_repository_does_not_change_the_commit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, other = tmp_path / "ours", tmp_path / "other"
    ours.mkdir()
    other.mkdir()
    head = commit(make_repository(ours))
    commit(make_repository(other))
    monkeypatch.setenv("GIT_DIR", str(other / ".git"))
    assert find_revision(ours, {}) == head


@pytest.mark.parametrize(
    ("environment", "revision"),
    [
        ({}, None),
        ({"TOTESYS_REVISION": ""}, None),
        ({"TOTESYS_REVISION": "unknown"}, None),
        ({"TOTESYS_REVISION": SHA}, SHA),
    ],
    ids=str,
)
def test_outside_a_checkout_the_commit_is_what_the_image_was_built_from(
    tmp_path: Path, environment: dict[str, str], revision: str | None
) -> None:
    assert find_revision(tmp_path, environment) == revision


def test_a_repository_without_a_commit_has_no_revision(tmp_path: Path) -> None:
    assert find_revision(make_repository(tmp_path), {}) is None


def test_without_git_the_commit_is_not_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commit(make_repository(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_revision(tmp_path, {}) is None
