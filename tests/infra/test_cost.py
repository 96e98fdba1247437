"""The bill is arithmetic over presets and prices, and the page has what it gives."""

from pathlib import Path

import pytest

from tests.infra.environments import environment, own_everything, own_vpc, own_warehouse
from totesys_infra import prices
from totesys_infra.cost import BUSY, ENDPOINTS, IDLE, egress_cost, month, of, options, total
from totesys_infra.cost_page import filled, tables
from totesys_infra.sizing import PRESETS, Sizing
from totesys_infra.stacks import network_stack

PAGE = Path(__file__).parents[2] / "docs" / "cost.md"
SIZINGS = pytest.mark.parametrize("sizing", PRESETS.values(), ids=PRESETS)


def test_the_page_has_the_tables_that_the_code_gives() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert all(table in page for table in tables().values()), "run `make docs`"
    assert filled(page) == page


def test_a_price_says_where_and_when_it_was_read_or_that_it_was_not() -> None:
    for price in prices.ALL:
        assert price.usd > 0
        assert (price.source is None) == (price.as_of is None)


@SIZINGS
def test_every_class_of_database_has_a_price(sizing: Sizing) -> None:
    assert sizing.warehouse_class in prices.RDS


@SIZINGS
def test_options_say_the_difference(sizing: Sizing) -> None:
    choices = options(sizing)
    assert choices["no changes all month"] == pytest.approx(total(sizing, IDLE) - total(sizing, BUSY))
    assert choices["transform at its maximum all month"] > 0
    chosen = {"public": "public IPs", "nat": "NAT", "endpoints": "interface endpoints"}[sizing.egress]
    assert choices[f"egress through {chosen}"] == 0


def test_a_lean_month_can_be_worked_out_by_hand() -> None:
    bill = month(PRESETS["lean"])
    # Three quarters of a vCPU and 2 GB; 8,760 ticks of 17 writes and 16 reads, 730 sweeps of 29 and 29; a look a minute
    assert bill["Fargate, first task per service"] == pytest.approx(730 * (0.75 * 0.03238 + 2 * 0.00356))
    assert bill["Fargate, additional tasks"] == 0
    assert bill["egress to AWS services"] == pytest.approx(3 * 730 * 0.005)
    assert bill["S3 requests"] == pytest.approx(
        (8760 * 17 + 730 * 29 + 730 * 60) * 5e-6 + (8760 * 16 + 730 * 29 + 730 * 60) * 4e-7
    )
    # Three services, 180 polls an hour each, and each message of three in a tick sent and deleted.
    assert bill["SQS"] == pytest.approx((3 * 180 * 730 + (8760 + 730) * 6) * 4e-7)


def test_a_standby_doubles_the_database() -> None:
    bill, sizing = month(PRESETS["high-availability"]), PRESETS["high-availability"]
    assert bill["RDS instance"] == pytest.approx(2 * 730 * prices.RDS["m7g.large"].usd)
    assert bill["RDS storage"] == pytest.approx(2 * 100 * 0.115)
    assert egress_cost(sizing) == pytest.approx(3 * 730 * (0.045 + 0.005) + 5 * 0.045)


def test_every_endpoint_that_is_made_is_paid_for() -> None:
    assert len(network_stack.ENDPOINTS) == ENDPOINTS


def test_an_environments_month_is_its_presets_with_its_choices() -> None:
    lean, standard = PRESETS["lean"], PRESETS["standard"]
    assert of(environment()) == pytest.approx(total(lean))
    nat = of(environment(network={"egress": "nat"}))
    assert nat == pytest.approx(total(lean) + options(lean)["egress through NAT"])
    assert of(own_warehouse()) == pytest.approx(total(lean) + options(lean)["existing warehouse"])
    assert of(own_vpc("standard")) == pytest.approx(total(standard) - egress_cost(standard))
    balancer = options(standard)["ALB instead of private DNS"]
    database = options(standard)["existing warehouse"]
    assert of(own_everything()) == pytest.approx(total(standard) - egress_cost(standard) + balancer + database)
