"""Whether the warehouse of a stack is what its source says: nothing lost, nothing doubled."""

from collections.abc import Awaitable, Callable

from tenacity import AsyncRetrying, retry_if_exception_type, retry_if_result, stop_after_delay, wait_fixed

from tests.compose.stack import Stack
from tests.sources import value, verified
from totesys.errors import DatabaseUnavailable, WarehouseMismatch
from totesys.model import MODEL
from totesys.sql import column_list, ident
from totesys.table import Fact

# A tick is a minute, a message that was received stays hidden for one, and the machine may be slow.
LONGEST_WAIT = 300.0
# A database that is starting, a warehouse that has no tables yet.
NOT_YET = (DatabaseUnavailable, WarehouseMismatch)


async def eventually(
    condition: Callable[[], Awaitable[object]], seconds: float = LONGEST_WAIT, poll: float = 1
) -> None:
    """Wait until a condition is true, whatever it takes to ask it."""

    async def ask() -> object:
        return await condition()

    until_true = AsyncRetrying(
        retry=retry_if_result(lambda answer: not answer) | retry_if_exception_type(NOT_YET),
        wait=wait_fixed(poll),
        stop=stop_after_delay(seconds),
    )
    await until_true(ask)


async def until_verified(stack: Stack, seconds: float = LONGEST_WAIT) -> None:
    """Wait until every row and column is equal; then no version of a fact may be there twice in a row."""
    await eventually(lambda: verified(stack.dsn("source"), stack.dsn("warehouse"), MODEL), seconds)
    for fact in MODEL.facts:
        assert await value(stack.dsn("warehouse"), _doubled(fact)) == 0, fact.name


def _doubled(fact: Fact) -> str:
    versions = f"PARTITION BY {ident(fact.only_key)} ORDER BY {ident(fact.record_id)}"
    row = f"ROW({column_list(fact.column_names)})"
    same = f"SELECT {row} = lag({row}) OVER ({versions}) AS same FROM warehouse.{ident(fact.name)}"
    return f"SELECT count(*) FROM ({same}) AS versions WHERE same"
