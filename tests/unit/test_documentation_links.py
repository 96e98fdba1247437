"""Links between the pages lead to a file and a heading, and pages for developers name files that exist."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "bench").glob("*.md")])
LINK = re.compile(r"\]\((?P<path>[^)#\s]*)(?:#(?P<anchor>[^)\s]+))?\)")
DEVELOPERS = [page for page in PAGES if page.name == "developers.md" or page.parent.name == "decisions"]
# Inline code without a placeholder: `tests/expected.py`, `infra/totesys_infra/alarms.py`, `tests/faults/`.
FILE = re.compile(r"`((?:bench|cli|console|docs|infra|services|shared|simulation|tests)/[\w./-]*)`")


def prose(page: Path) -> str:
    """A page without its code blocks."""
    return re.sub(r"^ *```.*?^ *```$", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_to_a_file_and_a_heading(page: Path) -> None:
    for link in LINK.finditer(prose(page)):
        path, anchor = link["path"], link["anchor"]
        if "://" in path or path.startswith("mailto:"):
            continue
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{path} does not exist"
        assert anchor is None or anchor in anchors(target), f"{path} has no heading for #{anchor}"


@pytest.mark.parametrize("page", DEVELOPERS, ids=lambda page: page.name)
def test_a_page_for_developers_names_files_that_exist(page: Path) -> None:
    named = FILE.findall(page.read_text(encoding="utf-8"))
    assert [name for name in named if not (ROOT / name).exists()] == []
