"""How long a page waits for what it asks: shorter than a person does."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from totesys.errors import LakeUnavailable

# Long enough for the AWS client to try again, and to say what is wrong itself.
SECONDS = 10.0


@asynccontextmanager
async def in_time(what: str, seconds: float = SECONDS) -> AsyncIterator[None]:
    """Bound the block's time. Raises LakeUnavailable that names `what` has not answered."""
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError:
        raise LakeUnavailable(f"{what} does not answer within {seconds:g} s.") from None
