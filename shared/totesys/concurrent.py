"""Waiting for two things at once."""

import asyncio
from collections.abc import Awaitable
from typing import TypeVar, cast

T = TypeVar("T")
U = TypeVar("U")


async def both(first: Awaitable[T], second: Awaitable[U]) -> tuple[T, U]:
    """What both give. Both are heard out even if one fails: a connection that is at work cannot be closed well."""
    answers = await asyncio.gather(first, second, return_exceptions=True)
    for answer in answers:
        if isinstance(answer, BaseException):
            raise answer
    return cast(tuple[T, U], tuple(answers))
