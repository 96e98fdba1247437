"""The monitoring stack: every alarm notifies somebody and says what to do."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.infra.environments import environment, own_warehouse, templates_of
from tests.infra.test_data_plane import of_type
from totesys_infra.alarms import STALE_SECONDS, Alarm, alarms
from totesys_infra.dashboard import expected, graphs
from totesys_infra.ecs_events import EcsEvent, ecs_events
from totesys_infra.names import SERVICES

RUNBOOK = Path(__file__).parents[2] / "docs" / "runbook.md"
SHOP = environment("standard", github_repository="shop/warehouse")
TOPIC = "arn:aws:sns:eu-west-2:123456789012:shop-alerts"
PROMISED_SECONDS = 30 * 60
TOLD: list[Alarm | EcsEvent] = [*alarms(SHOP), *ecs_events(SHOP)]


@pytest.fixture(scope="module")
def template() -> dict[str, Any]:
    return templates_of(SHOP)["shop-watching"]


def test_every_declared_alarm_is_created_and_notifies_the_topic(template: dict[str, Any]) -> None:
    made = {
        one["Properties"]["AlarmName"]: one["Properties"]
        for one in of_type(template, "AWS::CloudWatch::Alarm").values()
    }
    assert set(made) == {f"shop-{alarm.name}" for alarm in alarms(SHOP)}
    for properties in made.values():
        assert properties["AlarmActions"] == [TOPIC]
        assert properties["OKActions"] == [TOPIC]
        assert "ActionsEnabled" not in properties


def test_every_alarm_and_event_has_advice_and_a_link_to_the_runbook(template: dict[str, Any]) -> None:
    base = "https://github.com/shop/warehouse/blob/main/docs/runbook.md#"
    said = [one["Properties"]["AlarmDescription"] for one in of_type(template, "AWS::CloudWatch::Alarm").values()]
    said += [one["Properties"]["Description"] for one in of_type(template, "AWS::Events::Rule").values()]
    for text, one in zip(said, TOLD, strict=True):
        assert text == f"{one.description} {one.remedy} {base}{one.section}"
        # CloudWatch takes 1,024 characters, EventBridge 512.
        assert len(text) <= 512


def test_the_runbook_has_a_section_for_each_alarm_and_for_nothing_else() -> None:
    text = RUNBOOK.read_text(encoding="utf-8")
    sections = re.split(r"^## ", text, flags=re.MULTILINE)[1:]
    titles = {section.splitlines()[0]: section for section in sections}
    del titles["Practise"]
    needed = {one.section for one in TOLD} | {"budget", "update-rollback-failed"}
    assert {title.lower().replace(" ", "-") for title in titles} == needed
    for title, section in titles.items():
        for part in ("**Meaning.**", "**Likely causes.**", "**Look.**", "**Fix.**"):
            assert part in section, f"{title} lacks {part}"


def test_the_freshness_alarm_fires_well_before_the_promise_breaks_and_on_missing_data() -> None:
    (freshness,) = (alarm for alarm in alarms(SHOP) if alarm.name == "freshness")
    assert freshness.threshold + freshness.period * freshness.periods <= PROMISED_SECONDS * 2 / 3
    assert freshness.threshold == STALE_SECONDS
    assert freshness.missing == "breaching"


@pytest.mark.parametrize(
    ("tick", "seconds"), [("rate(5 minutes)", 300), ("rate(1 minute)", 60), ("rate(10 minutes)", 600)]
)
def test_two_ticks_without_a_run_fire_an_alarm(tick: str, seconds: int) -> None:
    (alarm,) = (a for a in alarms(environment("standard", schedules={"tick": tick})) if a.name == "no-successful-run")
    assert (alarm.period, alarm.periods, alarm.missing) == (seconds, 2, "breaching")


def test_the_alarm_on_differences_fires_until_a_verification_finds_none() -> None:
    (differences,) = (alarm for alarm in alarms(SHOP) if alarm.name == "verification-differences")
    assert differences.missing == "ignore"


def test_the_disk_alarm_fires_only_if_rds_did_not_enlarge_the_disk() -> None:
    (storage,) = (alarm for alarm in alarms(SHOP) if alarm.name == "warehouse-storage")
    # "Managing capacity automatically with Amazon RDS storage autoscaling": at a tenth of what is allocated.
    assert storage.threshold < SHOP.preset.warehouse_gib * 1024**3 / 10


def test_errors_are_counted_in_each_log_group(template: dict[str, Any]) -> None:
    filters = [one["Properties"] for one in of_type(template, "AWS::Logs::MetricFilter").values()]
    assert {one["LogGroupName"] for one in filters} == {SHOP.names.log_group(service) for service in SERVICES}
    assert {one["FilterPattern"] for one in filters} == {'{ $.level = "error" }'}


def test_an_existing_warehouse_has_no_alarms() -> None:
    watched = {alarm.metric.namespace for alarm in alarms(own_warehouse("standard"))}
    assert "AWS/RDS" not in watched
    assert "AWS/RDS" in {alarm.metric.namespace for alarm in alarms(SHOP)}


def test_only_our_own_metrics_are_billed_as_custom_ones() -> None:
    watched = [alarm.metric for alarm in alarms(SHOP)]
    watched += [metric for row in graphs(SHOP) for graph in row for metric, _ in graph.metrics]
    # Metrics in `AWS/…` are free; Container Insights writes to `ECS/ContainerInsights` and bills for it.
    paid = {metric.namespace for metric in watched if not metric.namespace.startswith("AWS/")}
    assert paid == {SHOP.names.metrics_namespace}


def test_tasks_are_counted_by_the_samples_of_one_minute() -> None:
    counted = [alarm for alarm in alarms(SHOP) if alarm.metric.namespace == "AWS/ECS"]
    assert [(alarm.statistic, alarm.period, alarm.missing) for alarm in counted] == [
        ("SampleCount", 60, "breaching")
    ] * 3
    (graph,) = (graph for row in graphs(SHOP) for graph in row if graph.metrics[0][0].namespace == "AWS/ECS")
    assert (graph.statistic, graph.period) == ("SampleCount", 60)


def test_a_burstable_warehouse_without_credit_is_billed_and_not_slowed_down() -> None:
    """RDS runs T3 and T4g in unlimited mode only."""
    (credit,) = (alarm for alarm in alarms(SHOP) if alarm.metric.name == "CPUCreditBalance")
    assert "bills" in credit.description
    assert "slow" not in credit.description
    section = RUNBOOK.read_text(encoding="utf-8").split("## Warehouse credit")[1].split("## ")[0]
    assert "AWS bills" in section


def test_the_dashboard_has_freshness_first_and_each_widget_in_its_place(template: dict[str, Any]) -> None:
    (dashboard,) = of_type(template, "AWS::CloudWatch::Dashboard").values()
    widgets = json.loads(dashboard["Properties"]["DashboardBody"])["widgets"]
    first = widgets[0]
    assert (first["x"], first["y"], first["width"]) == (0, 0, 24)
    assert [metric[1] for metric in first["properties"]["metrics"]] == ["Freshness"]
    assert {"value": PROMISED_SECONDS, "label": "promised"} in first["properties"]["annotations"]["horizontal"]
    places = [
        (x, y)
        for one in widgets
        for x in range(one["x"], one["x"] + one["width"])
        for y in range(one["y"], one["y"] + one["height"])
    ]
    assert len(places) == len(set(places))
    assert max(x for x, _ in places) < 24


@pytest.mark.parametrize(
    ("stage", "work"), [("ingest", "ExtractionSeconds"), ("transform", "RunSeconds"), ("load", "RunSeconds")]
)
def test_the_lag_of_each_stage_is_shown_beside_its_work(stage: str, work: str) -> None:
    (lag,) = (graph for row in graphs(SHOP) for graph in row if graph.title.startswith(f"Lag of {stage}"))
    waits, works = (metric for metric, _ in lag.metrics)
    assert (waits.name, waits.dimensions) == ("ApproximateAgeOfOldestMessage", {"QueueName": f"shop-{stage}"})
    assert (works.name, works.dimensions) == (work, {"stage": stage})
    assert {waits.unit, works.unit} == {"Seconds"}


def test_the_dashboard_shows_the_estimate_with_its_assumptions_and_the_charges_of_us_east_1(
    template: dict[str, Any],
) -> None:
    (made,) = of_type(template, "AWS::CloudWatch::Dashboard").values()
    widgets = json.loads(made["Properties"]["DashboardBody"])["widgets"]
    (text,) = (one["properties"]["markdown"] for one in widgets if one["type"] == "text")
    assert text == expected(SHOP)
    for said in ("110 USD", "`standard`", "us-east-1", "50 changed rows a second", "An estimate, not a bill"):
        assert said in text
    regions = {
        metric[0]: one["properties"]["region"]
        for one in widgets
        if one["type"] == "metric"
        for metric in one["properties"]["metrics"]
    }
    assert {space for space, region in regions.items() if region != SHOP.region} == {"AWS/Billing"}
    assert regions["AWS/Billing"] == "us-east-1"


def test_the_budget_notifies_before_the_month_is_over(template: dict[str, Any]) -> None:
    (budget,) = (one["Properties"] for one in of_type(template, "AWS::Budgets::Budget").values())
    assert budget["Budget"]["BudgetLimit"] == {"Amount": SHOP.monthly_budget_usd, "Unit": "USD"}
    told = budget["NotificationsWithSubscribers"]
    assert {one["Notification"]["NotificationType"] for one in told} == {"ACTUAL", "FORECASTED"}
    assert all(one["Subscribers"] == [{"SubscriptionType": "SNS", "Address": TOPIC}] for one in told)
