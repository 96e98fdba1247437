"""Each promise names the tests that keep it, and they are there."""

import ast
import re
from pathlib import Path

TESTS = Path(__file__).parents[1]
PAGE = TESTS.parent / "docs" / "promises.md"
# They say what the words mean and what does not hold; all other sections are promises.
WITHOUT_A_TEST = {"How the faults are judged", "What is not promised"}


def written_tests() -> set[str]:
    """The name of every test."""
    trees = [ast.parse(path.read_text()) for path in TESTS.rglob("test_*.py")]
    return {
        node.name
        for tree in trees
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_")
    }


def test_every_promise_names_tests_that_are_there() -> None:
    known = written_tests()
    for section in PAGE.read_text().split("\n## ")[1:]:
        title = section.partition("\n")[0]
        named = set(re.findall(r"`(test_\w+)`", section))
        assert named or title in WITHOUT_A_TEST, title
        assert named <= known, named - known
