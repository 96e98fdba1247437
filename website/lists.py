"""GitHub's numbered lists as Python-Markdown reads them: blocks of an item are indented by four spaces. Pure."""

import re
from collections.abc import Iterator

_ITEM = re.compile(r"\d+\. ")
_INDENT = "   "


def indented(page: str) -> str:
    """The page, with the content of numbered items indented by one more space."""
    return "\n".join(_lines(page.split("\n")))


def _lines(lines: list[str]) -> Iterator[str]:
    in_item = in_code = False
    before = ""
    for line in lines:
        if line.startswith("```"):
            in_code = not in_code
        begins = not in_code and _ITEM.match(line) is not None
        in_item = begins or (in_item and (not line or line.startswith(_INDENT)))
        nested = in_item and line.startswith(f"{_INDENT}- ") and not before.lstrip().startswith("- ")
        if (begins or nested) and before:
            yield ""
        yield f" {line}" if in_item and line and not begins else line
        before = line
