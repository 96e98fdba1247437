"""Each promise names the tests that keep it, they are there, and `make test` runs some of them."""

import ast
import re
from functools import cache
from pathlib import Path

TESTS = Path(__file__).parents[1]
PAGE = TESTS.parent / "docs" / "promises.md"
LONG = "pytest.mark.long"
# They say what the words mean and what does not hold; all other sections are promises.
WITHOUT_A_TEST = {"How the fault tests judge the result", "What is not promised"}


@cache
def written_tests() -> dict[str, bool]:
    """The name of every test, and whether `make test` leaves it out, as a whole, because it is long."""
    tests = {}
    for path in TESTS.rglob("test_*.py"):
        tree = ast.parse(path.read_text())
        long_module = any(isinstance(node, ast.Assign) and LONG in ast.unparse(node) for node in tree.body)
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
                tests[node.name] = long_module or LONG in map(ast.unparse, node.decorator_list)
    return tests


def promised_tests() -> dict[str, set[str]]:
    """The tests that each section of the page names."""
    sections = PAGE.read_text().split("\n## ")[1:]
    return {section.partition("\n")[0]: set(re.findall(r"`(test_\w+)`", section)) for section in sections}


def test_every_promise_names_tests_that_are_there() -> None:
    for title, named in promised_tests().items():
        assert named or title in WITHOUT_A_TEST, title
        assert named <= written_tests().keys(), title


def test_no_test_of_a_promise_waits_for_the_long_suite() -> None:
    named = set().union(*promised_tests().values())
    assert not [test for test in named if written_tests()[test]]
