"""`totesys verify --repair` brings what is wrong again: values, missing rows, rows too many."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from io import StringIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from tests.examples import examples
from tests.pipeline import Pipeline
from tests.sources import execute, make_company
from totesys.model import MODEL
from totesys.triggers import ExtractTrigger, parse_message
from totesys_cli.command_errors import StageFailed
from totesys_cli.local.emulator import Emulator
from totesys_cli.local.local_data_plane import LocalDataPlane
from totesys_cli.options import Databases, DataPlaneLocation
from totesys_cli.terminal import Output
from totesys_cli.verify.repair import KEYS_IN_A_MESSAGE, repairs
from totesys_cli.verify.verify_command import RepairOptions, run_verification

LONGEST_MESSAGE = 256 * 1024
PLANTED = """
    INSERT INTO warehouse.fact_payment OVERRIDING SYSTEM VALUE
    SELECT (jsonb_populate_record(NULL::warehouse.fact_payment,
            to_jsonb(one) || '{"payment_id": 900000, "payment_record_id": 900000}')).*
    FROM warehouse.fact_payment AS one LIMIT 1"""
WRONG = (
    "UPDATE warehouse.fact_payment SET payment_amount = 0 WHERE payment_id = 3",
    "DELETE FROM warehouse.fact_sales_order WHERE sales_order_id = 5",
    PLANTED,
    "UPDATE warehouse.dim_staff SET first_name = 'X' WHERE staff_id = 1",
    "DELETE FROM warehouse.dim_design WHERE design_id = 1",
    "DELETE FROM warehouse.dim_date WHERE date_id = '2020-02-29'",
)


def place(plane: LocalDataPlane) -> DataPlaneLocation:
    return DataPlaneLocation(plane.ingest_queue_url.rpartition("/")[2].removesuffix("-ingest"), plane.endpoint_url)


async def test_what_is_wrong_is_repaired_by_the_run_that_is_asked_for(
    database: Callable[[], str], data_plane: LocalDataPlane, emulator: Emulator
) -> None:
    source, warehouse = await make_company(database()), database()
    async with Pipeline(MODEL, data_plane, source, warehouse) as pipeline:
        await pipeline.tick()
        await execute(warehouse, *WRONG)
        shown = StringIO()
        output = Output(console=Console(file=shown, width=200))
        repair = RepairOptions(place(data_plane), timedelta(minutes=2))
        repairing = asyncio.create_task(run_verification(output, Databases(source, warehouse), repair=repair))
        taken = asyncio.create_task(take_message(emulator, data_plane))
        await asyncio.wait({repairing, taken}, return_when=asyncio.FIRST_COMPLETED)
        wakeup = await taken
        assert wakeup.mode == "repair"
        assert set(wakeup.keys) >= {"payment", "sales_order", "staff", "design"}
        await pipeline.ingest.work(wakeup)
        await pipeline.catch_up()
        assert await repairing
    assert "The warehouse equals the source" in shown.getvalue()


async def take_message(emulator: Emulator, plane: LocalDataPlane) -> ExtractTrigger:
    """The next message to ingest."""
    while True:
        answer = await asyncio.to_thread(
            emulator.sqs.receive_message, QueueUrl=plane.ingest_queue_url, WaitTimeSeconds=5
        )
        for message in answer.get("Messages", []):
            wakeup = parse_message(message["Body"], ExtractTrigger)
            if wakeup:
                return wakeup


async def test_a_repair_that_nothing_answers_is_an_error(
    database: Callable[[], str], data_plane: LocalDataPlane
) -> None:
    source, warehouse = await make_company(database()), database()
    async with Pipeline(MODEL, data_plane, source, warehouse) as pipeline:
        await pipeline.tick()
    await execute(warehouse, WRONG[0])
    repair = RepairOptions(place(data_plane), timedelta(seconds=1))
    with pytest.raises(StageFailed, match="not in the warehouse after"):
        await run_verification(Output(console=Console(file=StringIO())), Databases(source, warehouse), repair=repair)


@examples(20)
@given(
    keys=st.dictionaries(
        st.sampled_from(["payment", "sales_order", "staff"]),
        st.lists(st.integers(-(10**18), 10**18), max_size=20),
    ),
    many=st.sampled_from([0, KEYS_IN_A_MESSAGE, 2 * KEYS_IN_A_MESSAGE + 1]),
)
def test_messages_ask_for_every_row_and_are_short_enough(keys: dict[str, list[int]], many: int) -> None:
    keys = {**keys, "transaction": [10**18] * many}
    messages = repairs(keys, "repair")
    asked = {table: [key for one in messages for key in one.keys.get(table, ())] for table in keys}
    assert asked == keys
    assert all(len(message.model_dump_json()) < LONGEST_MESSAGE for message in messages)
    assert len({message.trigger for message in messages}) == len(messages) >= 1
