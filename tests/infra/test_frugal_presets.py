"""The presets that put costs first: one task with all services, or one task per tick."""

from typing import Any

import pytest

from tests.infra.environments import CERTIFICATE, PARAMETER, environment, templates_of
from tests.infra.test_data_plane import of_type
from tests.infra.test_network import imported
from totesys_infra.alarms import alarms
from totesys_infra.ecs_events import ecs_events
from totesys_infra.environment import Environment
from totesys_infra.names import SERVICES
from totesys_infra.sizing import PRESETS

Template = dict[str, Any]
LEAN, SCHEDULED = environment(), environment("scheduled")


def services(of: Environment) -> Template:
    return templates_of(of)["shop-services"]


def pipeline(of: Environment) -> dict[str, Any]:
    """The definition of the task with all services."""
    (one,) = (
        task["Properties"]
        for task in of_type(services(of), "AWS::ECS::TaskDefinition").values()
        if task["Properties"]["Family"] == "shop-pipeline"
    )
    found: dict[str, Any] = one
    return found


def only(template: Template, kind: str) -> dict[str, Any]:
    (one,) = of_type(template, kind).values()
    properties: dict[str, Any] = one["Properties"]
    return properties


def variables(container: dict[str, Any]) -> dict[str, Any]:
    return {one["Name"]: one["Value"] for one in container["Environment"]}


def groups(references: list[dict[str, Any]]) -> list[str]:
    return [imported(one).removesuffix("Group") for one in references]


def test_lean_runs_one_task_with_a_container_for_each_service() -> None:
    service, task = only(services(LEAN), "AWS::ECS::Service"), pipeline(LEAN)
    assert (service["ServiceName"], service["DesiredCount"]) == ("pipeline", 1)
    # Its load must not run twice.
    assert service["DeploymentConfiguration"]["MaximumPercent"] == 100
    assert service["AvailabilityZoneRebalancing"] == "DISABLED"
    assert (task["Cpu"], task["Memory"]) == ("512", "2048")
    containers = task["ContainerDefinitions"]
    assert [one["Name"] for one in containers] == list(SERVICES)
    assert all(one["Essential"] for one in containers)
    assert sum(one["Memory"] for one in containers) == 2048
    assert len({variables(one)["TOTESYS_PORT"] for one in containers}) == 3
    network = service["NetworkConfiguration"]["AwsvpcConfiguration"]
    assert groups(network["SecurityGroups"]) == ["Ingest", "Transform", "Load"]
    assert not of_type(services(LEAN), "AWS::ApplicationAutoScaling::ScalableTarget")


@pytest.mark.parametrize("of", [LEAN, SCHEDULED], ids=["lean", "scheduled"])
def test_without_http_nothing_listens_and_no_token_is_needed(of: Environment) -> None:
    assert not of_type(services(of), "AWS::SecretsManager::Secret")
    assert not of_type(services(of), "AWS::ServiceDiscovery::PrivateDnsNamespace")
    for container in pipeline(of)["ContainerDefinitions"]:
        assert variables(container)["TOTESYS_HOST"] == "127.0.0.1"
        assert "PortMappings" not in container
        assert "TOTESYS_TRIGGER_TOKEN" not in {one["Name"] for one in container.get("Secrets", ())}
    assert not of_type(templates_of(of)["shop-network"], "AWS::EC2::SecurityGroupIngress")


def test_lean_can_have_private_dns_with_one_name_and_a_port_for_each_service() -> None:
    of = environment(http="private-dns")
    assert only(services(of), "AWS::ServiceDiscovery::Service")["Name"] == "pipeline"
    ports = {}
    for container in pipeline(of)["ContainerDefinitions"]:
        assert variables(container)["TOTESYS_ALLOWED_HOSTS"] == "pipeline.shop.internal"
        assert "TOTESYS_TRIGGER_TOKEN" in {one["Name"] for one in container["Secrets"]}
        ports[container["Name"]] = container["PortMappings"][0]["ContainerPort"]
    assert ports == {"ingest": 8081, "transform": 8082, "load": 8083}


def test_lean_can_have_a_load_balancer() -> None:
    of = environment(http="alb", certificate=CERTIFICATE)
    balanced = only(services(of), "AWS::ECS::Service")["LoadBalancers"]
    assert [(one["ContainerName"], one["ContainerPort"]) for one in balanced] == [
        ("ingest", 8081),
        ("transform", 8082),
        ("load", 8083),
    ]


@pytest.mark.parametrize("spot", [True, False])
def test_lean_and_scheduled_run_on_spot_if_set(spot: bool) -> None:
    first = only(services(environment(spot=spot)), "AWS::ECS::Service")["CapacityProviderStrategy"][0]
    target = only(services(environment("scheduled", spot=spot)), "AWS::Scheduler::Schedule")["Target"]
    (strategy,) = target["EcsParameters"]["CapacityProviderStrategy"]
    wanted = "FARGATE_SPOT" if spot else "FARGATE"
    assert (first["CapacityProvider"], strategy["CapacityProvider"]) == (wanted, wanted)


def test_a_parameter_is_read_by_the_containers_that_need_it() -> None:
    of = environment(source={"secret": PARAMETER})
    told = {
        container["Name"]: {one["Name"]: one["ValueFrom"] for one in container.get("Secrets", ())}
        for container in pipeline(of)["ContainerDefinitions"]
    }
    assert told == {
        "ingest": {"TOTESYS_SOURCE_DSN": PARAMETER},
        "transform": {},
        "load": {"TOTESYS_SOURCE_DSN": PARAMETER},
    }
    role = services(of)["Resources"][pipeline(of)["ExecutionRoleArn"]["Fn::GetAtt"][0]]["Properties"]
    statements = role["Policies"][0]["PolicyDocument"]["Statement"]
    assert [one["Resource"] for one in statements if one["Action"] == "ssm:GetParameters"] == [PARAMETER]
    assert not [one for one in statements if "secretsmanager" in str(one["Action"])]


def test_scheduled_starts_one_task_at_each_tick_and_no_service() -> None:
    template = services(SCHEDULED)
    assert not of_type(template, "AWS::ECS::Service")
    schedule = only(template, "AWS::Scheduler::Schedule")
    assert (schedule["Name"], schedule["ScheduleExpression"]) == ("shop-pipeline", "rate(15 minutes)")
    where = schedule["Target"]["EcsParameters"]["NetworkConfiguration"]["AwsvpcConfiguration"]
    assert where["AssignPublicIp"] == "ENABLED"
    assert groups(where["SecurityGroups"]) == ["Ingest", "Transform", "Load"]
    (role,) = (r["Properties"] for r in of_type(template, "AWS::IAM::Role").values() if "pipeline at" in str(r))
    run, hand_over = role["Policies"][0]["PolicyDocument"]["Statement"]
    assert (run["Action"], run["Resource"]) == (
        "ecs:RunTask",
        "arn:aws:ecs:eu-west-2:123456789012:task-definition/shop-pipeline:*",
    )
    assert hand_over["Condition"] == {"StringEquals": {"iam:PassedToService": "ecs-tasks.amazonaws.com"}}
    assert len(hand_over["Resource"]) == 2


def test_the_containers_of_a_scheduled_task_run_one_after_the_other_even_after_a_failure() -> None:
    ingest, transform, load = pipeline(SCHEDULED)["ContainerDefinitions"]
    for container in (ingest, transform, load):
        assert variables(container)["TOTESYS_ONCE"] == "true"
        assert "HealthCheck" not in container
        assert "Memory" not in container
    assert "DependsOn" not in ingest
    assert transform["DependsOn"] == [{"Condition": "COMPLETE", "ContainerName": "ingest"}]
    assert load["DependsOn"] == [{"Condition": "COMPLETE", "ContainerName": "transform"}]
    assert [one["Essential"] for one in (ingest, transform, load)] == [False, False, True]


def test_scheduled_alarms_on_two_ticks_without_an_extraction_and_on_failed_containers() -> None:
    first = alarms(SCHEDULED)[0]
    assert (first.name, first.period, first.periods, first.missing) == ("no-successful-run", 900, 2, "breaching")
    (event,) = ecs_events(SCHEDULED)
    # Each task ends by itself.
    assert "EssentialContainerExited" not in str(event.pattern)
    assert {"containers": {"exitCode": [{"anything-but": [0]}]}} in event.pattern["detail"]["$or"]  # type: ignore[index]


@pytest.mark.parametrize(
    ("preset", "wrong", "said"),
    [
        ("standard", {"spot": True}, 'spot is for sizing "lean" and "scheduled"'),
        ("scheduled", {"http": "private-dns"}, "needs tasks that keep running"),
        ("lean", {"schedules": {"tick": "rate(15 minutes)"}}, "would break the promised 30 minutes"),
        ("standard", {"schedules": {"tick": "rate(1 hour)"}}, "would break the promised 30 minutes"),
    ],
)
def test_what_a_preset_cannot_do_is_refused(preset: Any, wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        environment(preset, **wrong)


def test_ecs_exec_is_an_option_that_keeps_the_root_file_system_read_only() -> None:
    plain, open_ = environment("standard"), environment("standard", exec=True)
    assert [only_enabled(services(of)) for of in (plain, open_)] == [{False}, {True}]
    assert "ssmmessages" not in str(services(plain))
    for task in of_type(services(open_), "AWS::ECS::TaskDefinition").values():
        (container,) = task["Properties"]["ContainerDefinitions"]
        mounted = {one["ContainerPath"] for one in container["MountPoints"]}
        own = set() if container["Name"] == "ops" else {"/var/lib/amazon", "/var/log/amazon"}
        assert (container["ReadonlyRootFilesystem"], mounted) == (True, {"/tmp", *own})


def only_enabled(template: Template) -> set[bool]:
    return {one["Properties"]["EnableExecuteCommand"] for one in of_type(template, "AWS::ECS::Service").values()}


def test_only_the_frugal_presets_have_one_task() -> None:
    assert [preset for preset, sizing in PRESETS.items() if sizing.frugal] == ["scheduled", "lean"]
