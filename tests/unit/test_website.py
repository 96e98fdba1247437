"""The website has every page once, in the order of docs/README.md, and whatever its pages link to."""

import tomllib
from pathlib import Path

import pytest

from website.build import CONFIGURATION, as_toml, stage
from website.lists import indented
from website.pages import INDEX, ROOT, Nav, all_pages, attachments, listed, navigation


def test_the_navigation_has_every_page_once() -> None:
    pages = list(listed(navigation()))
    assert sorted(pages) == all_pages(), "name a new page in docs/README.md"
    assert len(pages) == len(set(pages))


def test_the_navigation_is_by_reader_and_begins_with_the_readme() -> None:
    nav = navigation()
    titles = [title for entry in nav if isinstance(entry, dict) for title in entry]
    assert titles == ["Everyone", "Analysts", "Operators", "Operators on AWS", "Developers", "All pages"]
    assert next(listed(nav)) == "README.md"
    assert nav[-1] == {"All pages": INDEX}


def test_whatever_a_page_links_to_is_part_of_the_website(tmp_path: Path) -> None:
    assert {"docs/images/report.png", "bench/charts/tick.svg", "LICENSE", ".env.example"} <= set(attachments())
    stage(tmp_path)
    for path in attachments():
        assert (tmp_path / "pages" / path).read_bytes() == (ROOT / path).read_bytes()
    for path in all_pages():
        staged, page = (text.read_text().split() for text in (tmp_path / "pages" / path, ROOT / path))
        assert staged == page


def test_the_generator_gets_the_navigation_and_the_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SITE_URL", "https://docs.example/totesys/")
    stage(tmp_path)
    project = tomllib.loads((tmp_path / CONFIGURATION).read_text())["project"]
    assert project["nav"] == navigation()
    assert project["site_url"] == "https://docs.example/totesys/"
    assert project["theme"]["font"] is False


def test_a_navigation_is_written_as_toml() -> None:
    nav: Nav = [{'A "title"': ["a.md", {"Inner": ["b.md"]}]}, "c.md"]
    assert tomllib.loads(f"nav = {as_toml(nav)}")["nav"] == nav


def test_blocks_of_a_numbered_item_are_indented_as_the_generator_reads_them() -> None:
    page = """Steps:

1. One
   goes on:

   ```
   code
   ```

   and ends.
2. Two:
   - nested
   - again

```
3. code
   stays
```
"""
    assert (
        indented(page)
        == """Steps:

1. One
    goes on:

    ```
    code
    ```

    and ends.

2. Two:

    - nested
    - again

```
3. code
   stays
```
"""
    )


def test_a_page_that_the_table_does_not_name_is_missed(tmp_path: Path) -> None:
    for path in all_pages():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text((ROOT / path).read_text())
    (tmp_path / "docs" / "new.md").write_text("# New")
    assert set(all_pages(tmp_path)) - set(listed(navigation(tmp_path))) == {"docs/new.md"}
