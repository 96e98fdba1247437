"""`totesys model`: a draft of any schema is a model that runs, and a check names whatever would go wrong."""

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path

import mypy.api
import pytest

from tests.command import Command
from tests.sources import execute

pytestmark = pytest.mark.postgres

# Names that need quotes, words of Python and SQL, types and keys that cannot be declared, and each kind of relation.
ODD_SCHEMA = (
    """CREATE TYPE "Sort of 'thing'" AS ENUM ('a "b"', 'c''d')""",
    'CREATE TABLE "class" ("from" integer PRIMARY KEY, "Größe, in m" numeric(6,3), sort "Sort of \'thing\'")',
    'CREATE TABLE "2 words" (id bigint PRIMARY KEY, "class" integer NOT NULL REFERENCES "class", note varchar(9))',
    'CREATE TABLE "2_words" (code text PRIMARY KEY, small smallint, at timestamp(0) NOT NULL, place point)',
    "CREATE TABLE keyless (a integer)",
    "CREATE TABLE measured (place point NOT NULL, id integer NOT NULL, UNIQUE (id))",
    "CREATE TABLE parted (id integer, day date, PRIMARY KEY (id, day)) PARTITION BY RANGE (day)",
    "CREATE TABLE parted_all PARTITION OF parted DEFAULT",
    'CREATE VIEW seen AS SELECT * FROM "class"',
    """INSERT INTO "class" VALUES (1, 1.5, 'a "b"'), (2, NULL, 'c''d')""",
    """INSERT INTO "2 words" VALUES (10, 1, 'x'), (20, 2, NULL)""",
    """INSERT INTO "2_words" VALUES ('k', 3, '2026-01-02 03:04:05', NULL)""",
    "INSERT INTO parted VALUES (1, '2026-01-01')",
)

ONE_ROW = 'lambda frame: frame.filter(pl.col("from") == 1)'


@pytest.fixture
def totesys(tmp_path: Path) -> Iterator[Command]:
    with Command.that_leaves_nothing(tmp_path) as command:
        yield command


async def test_a_draft_of_any_schema_fits_its_source_and_marks_each_decision(
    database: Callable[[], str], totesys: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = database()
    await execute(source, *ODD_SCHEMA)
    monkeypatch.chdir(tmp_path)
    drafted = totesys("model", "draft", "--source", source, "--name", "odd", "--output", "odd.py")
    assert drafted.code == 0, drafted.words
    text = (tmp_path / "odd.py").read_text()
    for decision in ("keyless has no key", "seen is a view", "place is point", "is it a fact?", "is id unique?"):
        assert sum(decision in line for line in text.splitlines() if line.startswith("# TODO: ")) >= 1, decision
    checked = totesys("model", "check", "odd", "--source", source)
    assert (checked.code, "odd fits the source" in checked.out) == (0, True), checked.words
    assert totesys("model", "draft", "--source", source, "--output", "odd.py").code == 2

    # Each fault is found without a lake, and is one sentence.
    reference = 'SELECT "from", "Größe, in m", "sort" FROM "class"'
    faults = {
        "returns more than one row for a from": ("build=unchanged", "build=lambda frame: pl.concat([frame, frame])"),
        "makes rows that depend on other rows": (
            "build=unchanged",
            'build=lambda frame: frame.with_columns(pl.col("Größe, in m").cum_count().cast(pl.Decimal(6, 3)))',
        ),
        "differs from its reference query in 1 of 2 rows": (
            reference,
            reference.replace(', "Größe', ', 1.5 AS "Größe', 1),
        ),
        "leaves out 1 rows of its reference query": ("build=unchanged", f"build={ONE_ROW}"),
        "lacks 1 rows that the function builds": (reference, f'{reference} WHERE "from" = 1'),
        "The reference query of dim_class fails": (reference, reference.replace("FROM", "FORM")),
        "column class.sorts is missing": ('Column("sort", enum', 'Column("sorts", enum'),
        "has no MODEL: SyntaxError": ("MODEL = Model(", "MODEL = = Model("),
    }
    for number, (sentence, (old, new)) in enumerate(faults.items()):
        before, found, after = text.partition("DIM_CLASS = Dimension(") if old != "MODEL = Model(" else ("", "", text)
        changed = before + found + after.replace(old, new, 1)
        if old.startswith("Column("):
            changed = text.replace(old, new, 1)
        assert changed != text, sentence
        (tmp_path / f"wrong{number}.py").write_text(changed)
        ended = totesys("model", "check", f"wrong{number}", "--source", source)
        assert (ended.code, sentence in " ".join(ended.out.split())) == (1, True), (sentence, ended.words)


@pytest.mark.long
async def test_mypy_accepts_a_draft(database: Callable[[], str], totesys: Command, tmp_path: Path) -> None:
    source = database()
    await execute(source, *ODD_SCHEMA)
    file = tmp_path / "odd.py"
    assert totesys("model", "draft", "--source", source, "--output", str(file)).code == 0
    out, _, code = await asyncio.to_thread(mypy.api.run, ["--strict", "--config-file", "", str(file)])
    assert code == 0, out
