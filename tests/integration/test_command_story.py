"""The story that every user of the command lives: a first load, no change, changes, a late commit, a doubt."""

import csv
import json
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import pyarrow.parquet as pq
import pytest

from tests.command import Command, Companies, Company, Ended, rows
from tests.expected import EXPECTED, ROWS
from totesys.connection import connect
from totesys.ledger_schema import LEDGER_TABLES
from totesys_cli.local.reachable import ReachablePostgres

LAKE_KEY = re.compile(
    r"(?P<schema>sales|purchases|payments|conformed)/(?P<table>\w+)/run=(?P<run>[0-9]{8})/part-[0-9]{5}\.(csv|parquet)"
)

# Every row of the warehouse, with what changes when it is written anew.
Written = Counter[tuple[str, str, str, str]]


@dataclass(frozen=True)
class Story:
    """One company, one lake, and the command that is called for them again and again."""

    company: Company
    state: Path
    totesys: Command

    def run(self, *options: str) -> Ended:
        return self.totesys("run", *self.company.arguments, "--state", str(self.state), "--once", *options)

    def verify(self, *options: str) -> Ended:
        return self.totesys("verify", *self.company.arguments, *options)

    def objects(self, bucket: str) -> dict[str, Path]:
        """The lake's objects by key, without the notes that the emulator keeps beside them."""
        (folder,) = self.state.glob(f"s3/*/totesys-{bucket}")
        files = (path for path in folder.rglob("*") if path.is_file() and not path.name.endswith(".meta.json"))
        return {str(path.relative_to(folder)): path for path in files}

    def parts(self, bucket: str, run: int) -> dict[tuple[str, str], Path]:
        """The parts of a run by schema and table; each has one here."""
        found = {}
        for key, path in self.objects(bucket).items():
            if not key.startswith("runs/") and key != "run_number.json":
                match = LAKE_KEY.fullmatch(key)
                assert match, key
                if int(match["run"]) == run:
                    found[match["schema"], match["table"]] = path
        return found

    async def written(self) -> Written:
        found: Written = Counter()
        async with connect("The warehouse", self.company.warehouse_owner) as connection:
            for schema, table in await connection.fetch(
                "SELECT schemaname, tablename FROM pg_tables WHERE schemaname IN ('warehouse', 'etl')"
            ):
                query = f"SELECT '{table}', t.ctid::text, t.xmin::text, t::text FROM {schema}.{table} t"
                found.update(tuple(row) for row in await connection.fetch(query))
        return found

    async def source(self, query: str, *parameters: object) -> list[asyncpg.Record]:
        return await rows(self.company.source_owner, query, *parameters)

    async def warehouse(self, query: str, *parameters: object) -> list[asyncpg.Record]:
        return await rows(self.company.warehouse_owner, query, *parameters)


def by_table(found: Written) -> Mapping[str, int]:
    """The number of rows of each table, the ledger's left out."""
    return Counter(table for table, *_ in found.elements() if table not in {one.name for one in LEDGER_TABLES})


@pytest.fixture(scope="module")
async def companies(postgres: ReachablePostgres) -> Companies:
    return await Companies.of(postgres)


@pytest.fixture(scope="module")
async def story(companies: Companies, tmp_path_factory: pytest.TempPathFactory) -> Story:
    folder = tmp_path_factory.mktemp("story")
    return Story(await companies.make(), folder / "state", Command(folder))


@pytest.fixture(scope="module")
def first(story: Story) -> Ended:
    """The first load."""
    return story.run()


@pytest.fixture(scope="module")
async def unchanged(story: Story, first: Ended) -> tuple[Ended, Written, Written, set[str]]:
    """A run without any change: what it printed, the warehouse before and after it, and its new objects."""
    before, objects = await story.written(), {*story.objects("ingest"), *story.objects("processed")}
    ended = story.run()
    new = {*story.objects("ingest"), *story.objects("processed")} - objects
    return ended, before, await story.written(), new


@dataclass(frozen=True)
class Changes:
    """What two runs wrote: one with an order in an open transaction, and one after its commit."""

    city: str
    first: Ended
    second: Ended
    written: tuple[Written, Written]


@pytest.fixture(scope="module")
async def changes(story: Story, unchanged: object) -> Changes:
    """Order 7 is changed, an order is added, department 2 moves; order 9 is changed by whoever commits late."""
    before = await story.written()
    async with connect("The source", story.company.source_owner) as late:
        transaction = late.transaction()
        await transaction.start()
        await late.execute("UPDATE sales_order SET units_sold = units_sold + 1 WHERE sales_order_id = 9")
        await story.source("UPDATE sales_order SET units_sold = 1234, last_updated = now() WHERE sales_order_id = 7")
        await story.source("UPDATE department SET location = 'Åbo [x]' WHERE department_id = 2")
        await story.source("""
            INSERT INTO sales_order (last_updated, design_id, staff_id, counterparty_id, units_sold, unit_price,
                currency_id, agreed_delivery_date, agreed_payment_date, agreed_delivery_location_id)
            VALUES ('2026-02-28 23:59:59.999', 1, 2, 3, 0, 99999999.99, 3, '2024-02-29', '2026-02-28', 30)""")
        first = story.run()
        between = await story.written()
        await transaction.commit()
    second = story.run()
    return Changes("Åbo [x]", first, second, (between - before, await story.written() - between))


def test_the_first_call_says_what_it_has_loaded(first: Ended) -> None:
    assert first.code == 0, first.err
    for table, count in ROWS.items():
        assert re.search(rf"{table}\W+{count:,}\W+{count:,}\W+0\b", first.words), table


async def test_every_value_is_what_the_source_says(story: Story, first: Ended) -> None:
    for table, query in EXPECTED.items():
        expected = await story.source(f"{query} ORDER BY 1")
        found = await story.warehouse(f"SELECT {', '.join(expected[0].keys())} FROM warehouse.{table} ORDER BY 1")
        assert len(expected) == ROWS[table]
        assert [tuple(row) for row in found] == [tuple(row) for row in expected], table
    stars = "SELECT (SELECT count(*) FROM sales.fact_sales_order), (SELECT count(*) FROM payments.fact_payment_current)"
    assert tuple((await story.warehouse(stars))[0]) == (ROWS["fact_sales_order"], ROWS["fact_payment"])


async def test_the_calendar_has_every_day(story: Story, first: Ended) -> None:
    found = await story.warehouse("SELECT * FROM warehouse.dim_date ORDER BY date_id")
    days = [date(2020, 1, 1) + timedelta(number) for number in range(len(found))]
    assert days[-1] == date(days[-1].year, 12, 31)
    assert days[-1].year > date.today().year  # noqa: DTZ011
    assert [tuple(row) for row in found] == [
        (d, d.year, d.month, d.day, d.isoweekday(), f"{d:%A}", f"{d:%B}", (d.month + 2) // 3) for d in days
    ]


async def test_the_lake_holds_the_run_in_files_that_anyone_can_read(story: Story, first: Ended) -> None:
    for (_, table), path in (extracted := story.parts("ingest", run=1)).items():
        with path.open(newline="") as file:
            keys = [int(row[f"{table}_id"]) for row in csv.DictReader(file)]
        assert sorted(keys) == [row[0] for row in await story.source(f"SELECT {table}_id FROM {table} ORDER BY 1")]
    assert len(extracted) == 11
    built = story.parts("processed", run=1)
    for (_, table), path in built.items():
        if query := EXPECTED.get(table):
            in_order = sorted(pq.read_table(path).to_pylist(), key=lambda row: next(iter(row.values())))
            assert in_order == [dict(row) for row in await story.source(f"{query} ORDER BY 1")], table
    assert {table for _, table in built} == {*EXPECTED, "dim_date"}
    assert {("sales", "fact_sales_order"), ("conformed", "dim_staff")} <= built.keys()


async def test_a_run_without_a_change_writes_nothing_but_its_record(
    unchanged: tuple[Ended, Written, Written, set[str]],
) -> None:
    ended, before, after, new = unchanged
    assert ended.code == 0, ended.err
    assert "Run 2 is empty" in ended.words
    assert new == {"runs/run=00000002/empty.json"}
    assert before == after


async def test_a_change_is_a_new_version_and_nothing_else_is_written(story: Story, changes: Changes) -> None:
    assert changes.first.code == 0, changes.first.err
    versions = "SELECT units_sold FROM warehouse.fact_sales_order WHERE sales_order_id = 7 ORDER BY sales_record_id"
    assert [row[0] for row in await story.warehouse(versions)][1:] == [1234]
    current = "SELECT units_sold FROM sales.fact_sales_order_current WHERE sales_order_id = 7"
    assert [row[0] for row in await story.warehouse(current)] == [1234]
    staff = await story.source("SELECT staff_id FROM staff WHERE department_id = 2 ORDER BY 1")
    moved = await story.warehouse(
        "SELECT staff_id FROM warehouse.dim_staff WHERE location = $1 ORDER BY 1", changes.city
    )
    assert staff
    assert staff == moved
    assert by_table(changes.written[0]) == {"fact_sales_order": 2, "dim_staff": len(staff)}


async def test_what_is_committed_late_comes_with_the_next_run_alone(story: Story, changes: Changes) -> None:
    assert changes.second.code == 0, changes.second.err
    assert by_table(changes.written[1]) == {"fact_sales_order": 1}
    versions = "SELECT units_sold FROM warehouse.fact_sales_order WHERE sales_order_id = 9 ORDER BY sales_record_id"
    before, after = [row[0] for row in await story.warehouse(versions)]
    assert after == before + 1


@pytest.fixture
async def doubt(story: Story, changes: Changes) -> Any:
    """A value that somebody has changed by hand, until the test is over."""
    change = "UPDATE warehouse.fact_purchase_order SET item_quantity = item_quantity {} 5 WHERE purchase_order_id = 17"
    await story.warehouse(change.format("+"))
    yield
    await story.warehouse(change.format("-"))


def test_verify_finds_all_equal(story: Story, changes: Changes) -> None:
    ended = story.verify()
    assert ended.code == 0, ended.words
    assert "equals the source" in ended.words
    for table in (*ROWS, "dim_date"):
        assert table in ended.words


@pytest.mark.usefixtures("doubt")
def test_verify_names_the_value_that_differs(story: Story) -> None:
    said, machine = story.verify(), story.verify("--json")
    assert said.code == machine.code == 1
    assert re.search(r"fact_purchase_order 17, item_quantity: expected \"\d+\", found \"\d+\"", said.words)
    document = json.loads(machine.out)
    assert document["equal"] is False
    (wrong,) = [table for table in document["tables"] if table["samples"]]
    (sample,) = wrong["samples"]
    assert (wrong["table"], wrong["differing"], sample["key"], sample["column"]) == (
        "fact_purchase_order", 1, "17", "item_quantity",
    )  # fmt: skip
    assert int(sample["found"]) == int(sample["expected"]) + 5


def test_verify_finds_all_equal_again_once_it_is_mended(story: Story, changes: Changes) -> None:
    ended = story.verify("--json")
    assert ended.code == 0
    assert json.loads(ended.out)["equal"] is True
