"""docs/analysts.md: each question of it gets the answer that it prints."""

import re
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import asyncpg
import pytest

from tests.pipeline import Pipeline
from totesys.connection import connect
from totesys.model import MODEL
from totesys_cli.local.local_data_plane import LocalDataPlane
from totesys_cli.source_database import create_source
from totesys_simulation import fill

pytestmark = pytest.mark.postgres

PAGE = Path(__file__).parents[2] / "docs" / "analysts.md"
QUESTION = re.compile(r"```sql\n(?P<sql>.*?)```\n\n```\n(?P<answer>.*?)```", re.DOTALL)


@pytest.fixture
async def warehouse(database: Callable[[], str], data_plane: LocalDataPlane) -> AsyncIterator[asyncpg.Connection]:
    """The generated company of seed 1, loaded."""
    dsn = database()
    async with connect("The source", dsn) as source:
        await create_source(source, MODEL)
        await fill(source, seed=1)
    async with Pipeline(MODEL, data_plane, dsn, database()) as pipeline:
        await pipeline.tick()
        async with connect("The warehouse", pipeline.warehouse_dsn) as connection:
            yield connection


async def test_each_question_of_the_analysts_page_has_the_answer_that_is_printed(
    warehouse: asyncpg.Connection,
) -> None:
    questions = [found.groupdict() for found in QUESTION.finditer(PAGE.read_text())]
    assert len(questions) == PAGE.read_text().count("```sql") > 5
    for question in questions:
        head, _, *printed = [[cell.strip() for cell in line.split("|")] for line in question["answer"].splitlines()]
        rows = await warehouse.fetch(question["sql"])
        assert [list(row.keys()) for row in rows[:1]] == [head], question["sql"]
        assert [[_printed(value) for value in row] for row in rows] == printed, question["sql"]


def _printed(value: object) -> str:
    """As psql prints it."""
    return {True: "t", False: "f"}[value] if isinstance(value, bool) else str(value)
