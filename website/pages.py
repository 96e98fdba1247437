"""Which pages the website has, in which order, and which other files they show or link to."""

import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
INDEX = "docs/README.md"
DECISIONS = "docs/decisions"
# Pages that the page of pages does not name one by one.
RESULTS = "bench/results.md"
_LINK = re.compile(
    r"\]\((?P<path>[^)#\s]+)(?:#[^)\s]*)?\)|<(?:img|source|a)\s[^>]*?(?:src|srcset|href)=\"(?P<tag>[^\"#]+)\""
)
_BLOCK = re.compile(r"^ *```.*?^ *```$", re.DOTALL | re.MULTILINE)
_ROW = re.compile(r"^\| (?P<reader>[a-zA-Z ]+) \| (?P<pages>.*\]\(.*) \|$", re.MULTILINE)

Nav = list[dict[str, "str | Nav"] | str]


def all_pages(root: Path = ROOT) -> list[str]:
    """Every Markdown page that readers have, as a path below the root."""
    found = [*root.glob("*.md"), *(root / "docs").rglob("*.md"), root / RESULTS]
    return sorted(page.relative_to(root).as_posix() for page in found)


def navigation(root: Path = ROOT) -> Nav:
    """The pages by reader, as in the table of docs/README.md; each page once, with the first reader who needs it."""
    seen: set[str] = set()
    nav: Nav = []
    for row in _ROW.finditer((root / INDEX).read_text(encoding="utf-8")):
        section: Nav = []
        for page in _linked_pages(root, INDEX, row["pages"]):
            if page not in seen:
                seen.add(page)
                section += _with_children(root, page)
        nav.append({row["reader"][0].upper() + row["reader"][1:]: section})
    nav.append({"All pages": INDEX})
    return nav


def listed(nav: "Nav | str") -> Iterator[str]:
    """Every page of a navigation."""
    if isinstance(nav, str):
        yield nav
        return
    for entry in nav:
        for inner in [entry] if isinstance(entry, str) else entry.values():
            yield from listed(inner)


def attachments(root: Path = ROOT) -> list[str]:
    """The files that pages show or link to and that are not pages themselves: pictures, and sources of the project."""
    pages = all_pages(root)
    linked = {target for page in pages for target in _targets(root, page, (root / page).read_text(encoding="utf-8"))}
    return sorted(target for target in linked - set(pages) if (root / target).is_file())


def _with_children(root: Path, page: str) -> Nav:
    if page == f"{DECISIONS}/README.md":
        numbered = sorted((root / DECISIONS).glob("[0-9]*.md"))
        return [{"Design decisions": [page, *(one.relative_to(root).as_posix() for one in numbered)]}]
    if page.endswith("performance.md"):
        return [page, RESULTS]
    return [page]


def _linked_pages(root: Path, page: str, text: str) -> Iterator[str]:
    return (target for target in _targets(root, page, text) if target.endswith(".md"))


def _targets(root: Path, page: str, text: str) -> Iterator[str]:
    """The relative links of a page's text, as paths below the root."""
    for link in _LINK.finditer(_BLOCK.sub("", text)):
        path = link["path"] or link["tag"]
        if ":" not in path:
            target = (root / page).parent.joinpath(path).resolve()
            if target.is_relative_to(root):
                yield target.relative_to(root).as_posix()
