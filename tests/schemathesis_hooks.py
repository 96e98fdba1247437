"""The rules for a request that JSON Schema cannot express. schemathesis loads this file and skips what breaks them."""

from typing import Any

import schemathesis


@schemathesis.hook
def filter_case(_context: schemathesis.HookContext, case: schemathesis.Case[Any]) -> bool:
    """Skip a range of runs that ends before it begins."""
    body = case.body if isinstance(case.body, dict) else {}
    first, last = body.get("from_run"), body.get("to_run")
    return not (isinstance(first, int | float) and isinstance(last, int | float) and first > last)
