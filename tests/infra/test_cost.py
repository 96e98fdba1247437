"""docs/cost.md: every result follows from its arithmetic, and every fact from the templates."""

import ast
import operator
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.infra.environments import PARAMETER, PRESETS, environment, templates_of
from tests.infra.test_data_plane import of_type
from totesys_infra.alarms import alarms
from totesys_infra.dashboard import graphs
from totesys_infra.deploy.template import values
from totesys_infra.environment import Environment
from totesys_infra.sizing import Preset

PAGE = (Path(__file__).parents[2] / "docs" / "cost.md").read_text(encoding="utf-8")
# Below these, with the database.
LIMITS: dict[Preset, float] = {"scheduled": 25, "lean": 40, "standard": 110, "high-availability": 400}
OPERATORS: dict[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}
GB_OF_A_RELEASE = "0.87"


def worked_out(arithmetic: str) -> float:
    """The value of an expression as the page writes it."""
    plain = re.sub(r"(?<=\d),(?=\d{3})", "", arithmetic).replace("×", "*").replace("−", "-")
    return value(ast.parse(plain, mode="eval").body)


def value(node: ast.expr) -> float:
    match node:
        case ast.Constant(value=int() | float() as number):
            return number
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -value(operand)
        case ast.BinOp(left=left, op=op, right=right):
            return OPERATORS[type(op)](value(left), value(right))
    raise AssertionError(ast.dump(node))


def table(heading: str) -> dict[str, tuple[str, str]]:
    """The arithmetic and the result of each line below a heading."""
    section = re.split(r"^##+ ", PAGE.split(f"# {heading}\n")[1], flags=re.MULTILINE)[0]
    found = [[cell.strip() for cell in row.strip("|").split("|")] for row in section.splitlines() if row[:1] == "|"]
    return {line: (arithmetic, usd) for line, arithmetic, usd in found[2:]}


def shop(preset: Preset) -> Environment:
    """An environment with the preset's defaults; those that save a secret keep the source's DSN in a parameter."""
    secret = {"source": {"secret": PARAMETER}} if preset in ("scheduled", "lean") else {}
    return environment(preset, **secret)


def factor(bill: dict[str, tuple[str, str]], line: str) -> str:
    """The first factor of a line's arithmetic, or 0 if there is no such line."""
    found = [arithmetic for name, (arithmetic, _) in bill.items() if name.startswith(line)]
    return found[0].split(" × ")[0] if found else "0"


def running_tasks(template: dict[str, Any]) -> list[dict[str, Any]]:
    """The definitions of the tasks of the services, without the one-off task of `make ops`."""
    tasks = [one["Properties"] for one in of_type(template, "AWS::ECS::TaskDefinition").values()]
    return [task for task in tasks if task["Family"] != "shop-ops"]


def count(templates: dict[str, Any], kind: str) -> int:
    return sum(len(of_type(template, kind)) for template in templates.values())


@pytest.mark.parametrize("preset", PRESETS)
def test_every_line_and_total_of_a_preset_can_be_worked_out(preset: Preset) -> None:
    bill = table(preset)
    _, total = bill.pop("**total**")
    for line, (arithmetic, usd) in bill.items():
        assert f"{worked_out(arithmetic):.2f}" == usd, line
    summed = sum(float(usd) for _, usd in bill.values())
    assert total == f"{summed:.2f}"
    assert summed < LIMITS[preset]
    assert round(summed) == shop(preset).preset.usd_a_month
    assert f"**{total}**" in PAGE.split("## The arithmetic")[0]


def test_lean_costs_less_than_26_without_a_database() -> None:
    bill = table("lean")
    database = sum(float(usd) for line, (_, usd) in bill.items() if line.startswith(("RDS", "secret of the RDS")))
    assert float(bill["**total**"][1]) - database < 26


def test_every_option_can_be_worked_out() -> None:
    for option, (arithmetic, usd) in table("What each option adds").items():
        assert f"{worked_out(arithmetic):+.2f}" == usd, option


@pytest.mark.parametrize("preset", PRESETS)
def test_the_tasks_on_the_page_are_those_of_the_templates(preset: Preset) -> None:
    template = templates_of(shop(preset))["shop-services"]
    arithmetic = [text for line, (text, _) in table(preset).items() if line.startswith("Fargate")]
    first = [text for text in arithmetic if "0.0162" not in text]
    sizes = [(int(one["Cpu"]) / 1024, int(one["Memory"]) / 1024) for one in running_tasks(template)]
    assert [re.findall(r"\(([\d.]+) × 0.03238 \+ ([\d.]+) × 0.00356", text)[0] for text in first] == [
        (f"{cpu:g}", f"{memory:g}") for cpu, memory in sizes
    ]
    wanted = sum(int(one["Properties"]["DesiredCount"]) for one in of_type(template, "AWS::ECS::Service").values())
    assert len(arithmetic) == (wanted or 1)


@pytest.mark.parametrize("preset", PRESETS)
def test_the_database_on_the_page_is_that_of_the_template(preset: Preset) -> None:
    (made,) = of_type(templates_of(shop(preset))["shop-warehouse"], "AWS::RDS::DBInstance").values()
    instance = made["Properties"]
    (line,) = (line for line in table(preset) if line.startswith("RDS instance"))
    assert line.endswith(f", {instance['DBInstanceClass']}")
    assert ("standby" in line) == instance["MultiAZ"]
    (storage,) = (line for line in table(preset) if line.startswith("RDS storage"))
    assert storage.endswith(f", {instance['AllocatedStorage']} GiB")


@pytest.mark.parametrize("preset", PRESETS)
def test_the_alarms_metrics_and_dashboards_on_the_page_are_those_of_the_templates(preset: Preset) -> None:
    of, bill = shop(preset), table(preset)
    templates = templates_of(of)
    # Target tracking makes an alarm for growing and one for shrinking, each on the two metrics of its expression.
    scaling = 4 * count(templates, "AWS::ApplicationAutoScaling::ScalingPolicy")
    assert factor(bill, "alarms") == str(count(templates, "AWS::CloudWatch::Alarm") + scaling)
    assert factor(bill, "dashboard") == str(count(templates, "AWS::CloudWatch::Dashboard"))
    watched = [alarm.metric for alarm in alarms(of)]
    if not of.preset.frugal:
        watched += [metric for row in graphs(of) for graph in row for metric, _ in graph.metrics]
    ours = {(m.name, *m.dimensions.items()) for m in watched if m.namespace == of.names.metrics_namespace}
    assert factor(bill, "custom metrics") == str(len(ours))


@pytest.mark.parametrize("preset", PRESETS)
def test_a_frugal_preset_emits_no_metric_without_an_alarm(preset: Preset) -> None:
    of = shop(preset)
    given = [
        one["Value"]
        for task in running_tasks(templates_of(of)["shop-services"])
        for container in task["ContainerDefinitions"]
        for one in container["Environment"]
        if one["Name"] == "TOTESYS_METRICS"
    ]
    expected = {"scheduled": "ExtractionSeconds", "lean": "Freshness"}.get(preset)
    assert given == ([expected] * 3 if expected else [])
    filters = of_type(templates_of(of)["shop-watching"], "AWS::Logs::MetricFilter").values()
    counted = [one["Properties"]["MetricTransformations"][0] for one in filters]
    assert len({str(one.get("Dimensions", "none")) for one in counted}) == 1
    assert all(("Dimensions" in one) != of.preset.frugal for one in counted)


@pytest.mark.parametrize("preset", PRESETS)
def test_the_secrets_keys_addresses_and_images_on_the_page_are_those_of_the_templates(preset: Preset) -> None:
    of, bill = shop(preset), table(preset)
    templates = templates_of(of)
    # The source's, unless it is a parameter, and the one that RDS makes.
    secrets = count(templates, "AWS::SecretsManager::Secret") + len(of.secrets) - len(of.parameters) + 1
    assert factor(bill, "secret") == str(secrets)
    assert (factor(bill, "KMS key") == "1") == (values(of, "any")["EncryptAlerts"] == "true")
    assert (factor(bill, "private DNS") == "1") == (count(templates, "AWS::ServiceDiscovery::PrivateDnsNamespace") == 1)
    assert factor(bill, "NAT gateways") == str(count(templates, "AWS::EC2::NatGateway"))
    running = sum(
        one["Properties"]["DesiredCount"] for one in of_type(templates["shop-services"], "AWS::ECS::Service").values()
    )
    if not of.preset.scheduled:
        assert factor(bill, "public addresses") == str(running if of.egress == "public" else 0)
    kept = re.findall(r'countNumber\\?":(\d+)', str(templates["shop-build"]))
    assert set(kept[::2]) == {factor(bill, "images kept")}
    assert GB_OF_A_RELEASE in bill["images kept"][0]
