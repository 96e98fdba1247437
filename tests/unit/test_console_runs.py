"""The console finds runs by outcome and date, and leads to their rows and log lines."""

import json
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from totesys.errors import BadRequest
from totesys_console.actions import chosen_letters
from totesys_console.data_plane import DataPlane
from totesys_console.page_query import PageQuery, Show
from totesys_console.run_cache import Listed
from totesys_console.run_log import lines_of_run

DONE = Listed(1, {"manifest.json": "x"}, {"manifest.json": "x", "load.json": "x"})
EMPTY = Listed(2, {"empty.json": "x"})
FAILED = Listed(3, {"manifest.json": "x"}, {"manifest.json": "x", "load.failed.json": "x"})
MENDED = Listed(4, {"manifest.json": "x"}, {"manifest.json": "x", "transform.failed.json": "x"})


@pytest.mark.parametrize(("show", "runs"), [("changes", [1, 3, 4]), ("failed", [3]), ("all", [1, 2, 3, 4])])
def test_runs_are_listed_by_their_outcome(show: Show, runs: list[int]) -> None:
    assert [one.run for one in (DONE, EMPTY, FAILED, MENDED) if PageQuery(show).lists(one)] == runs


def test_an_address_has_only_what_differs_from_the_newest_runs() -> None:
    query = PageQuery("failed", date(2026, 11, 25), 30, "7d")
    assert query.url() == "/?show=failed&on=2026-11-25&before=30&window=7d"
    assert query.url(show="changes", on=None, before=None, window=None) == "/"
    assert (query.begin, query.end) == (datetime(2026, 11, 25, tzinfo=UTC), datetime(2026, 11, 26, tzinfo=UTC))


def test_letters_are_chosen_or_all_are() -> None:
    assert chosen_letters({"sure": "yes", "letter": "a"}) == frozenset()
    assert chosen_letters({"sure": "chosen", "letter": "a b"}) == {"a", "b"}
    with pytest.raises(BadRequest, match="at least one"):
        chosen_letters({"sure": "chosen", "letter": ""})


def test_a_local_data_plane_has_an_endpoint() -> None:
    plane = DataPlane.of_queue("http://127.0.0.1:4566/000000000000/shop-1-load", "load")
    assert plane == DataPlane("shop-1", endpoint="http://127.0.0.1:4566")
    assert plane.quarantine_command("fact loan", 3) == (
        "totesys quarantine show 'fact loan' --run 3 --name shop-1 --endpoint http://127.0.0.1:4566"
    )
    assert (plane.log_commands(3), plane.log_link(3)) == ((), "")


def test_a_data_plane_on_aws_has_its_logs_in_cloudwatch() -> None:
    plane = DataPlane.of_queue("https://sqs.eu-west-2.amazonaws.com/123456789012/shop-load", "load")
    assert plane == DataPlane("shop", "eu-west-2")
    assert plane.quarantine_command("fact_loan", 3) == "totesys quarantine show fact_loan --run 3 --name shop"
    assert plane.log_commands(3)[2] == (
        "aws logs tail /shop/load --region eu-west-2 --since 7d --filter-pattern '{ $.run = 3 }'"
    )
    link = plane.log_link(3)
    assert link.startswith("https://eu-west-2.console.aws.amazon.com/cloudwatch/home?region=eu-west-2#logsV2:logs-")
    assert "filter*20run*20*3d*203" in link
    assert "~source~(~'*2fshop*2fingest~'*2fshop*2ftransform~'*2fshop*2fload))" in link


def test_the_log_lines_of_a_run_are_those_that_name_it(tmp_path: Path) -> None:
    file = tmp_path / "services.log"
    lines = [
        {"event": "run_committed", "run": 12, "rows": 3, "service": "ingest", "level": "info", "timestamp": "t1"},
        {"event": "run_committed", "run": 120, "service": "ingest"},
        {"event": "extraction_completed", "runs": [11, 12], "service": "ingest"},
        {"event": "message_received", "message_id": "12"},
    ]
    texts = ["12 is no JSON", '"12"', "[12]", "\xff", *map(json.dumps, lines)]
    file.write_bytes("\n".join(texts).encode("latin-1"))
    found = lines_of_run(file, 12)
    assert [line.event for line in found] == ["run_committed", "extraction_completed"]
    assert (found[0].at, found[0].service, found[0].rest) == ("t1", "ingest", '{"rows": 3}')
    with pytest.raises(OSError, match="nope"):
        lines_of_run(tmp_path / "nope", 12)
