"""An unexpected error reveals nothing; an error of ours is a 503 with its message."""

from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from totesys.errors import CorruptObject, LakeUnavailable
from totesys.service.problems import answer_with_problems


def app_that_raises(error: Exception) -> FastAPI:
    app = FastAPI()
    answer_with_problems(app)

    @app.get("/")
    async def fail() -> None:
        raise error

    return app


async def answer_to(error: Exception) -> dict[str, Any]:
    transport = httpx.ASGITransport(app_that_raises(error), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://service") as client:
        answer = await client.get("/")
    assert answer.headers["content-type"] == "application/problem+json"
    problem: dict[str, Any] = answer.json()
    assert problem["status"] == answer.status_code
    return problem


async def test_an_unexpected_error_reveals_nothing_to_the_client() -> None:
    problem = await answer_to(ZeroDivisionError("s3cret"))
    assert problem == {
        "type": "internal-server-error",
        "title": "Internal Server Error",
        "status": 500,
        "detail": "An unexpected error occurred. See the service's log.",
    }


@pytest.mark.parametrize("error", [LakeUnavailable("S3 is away."), CorruptObject("s3://x is away.")])
async def test_an_error_of_ours_is_a_503_with_its_message(error: Exception) -> None:
    problem = await answer_to(error)
    assert (problem["status"], problem["detail"]) == (503, str(error))
