"""The services: how tasks run, stop and scale, and their settings."""

import json
from typing import Any, cast

import pytest

from tests.infra.environments import (
    CERTIFICATE,
    KEY,
    OWN_SECRET,
    PRESETS,
    SECRET,
    environment,
    own_everything,
    templates_of,
)
from tests.infra.test_data_plane import of_type
from totesys.service_settings import ServiceSettings
from totesys_infra.names import SERVICES, Service
from totesys_infra.sizing import PRESETS as SIZINGS
from totesys_infra.sizing import Preset
from totesys_ingest.ingest_settings import IngestSettings
from totesys_load.load_settings import LoadSettings
from totesys_transform.transform_settings import TransformSettings

Template = dict[str, Any]
SETTINGS: dict[Service, type[ServiceSettings]] = {
    "ingest": IngestSettings,
    "transform": TransformSettings,
    "load": LoadSettings,
}
FARGATE_KILLS_AFTER = 120
PULLS = ("ecr:BatchCheckLayerAvailability", "ecr:GetDownloadUrlForLayer", "ecr:BatchGetImage")
LOGS = ("logs:CreateLogStream", "logs:PutLogEvents")


@pytest.fixture(scope="module")
def templates() -> dict[Preset, Template]:
    """The services of each preset."""
    return {preset: templates_of(environment(preset))["shop-services"] for preset in PRESETS}


@pytest.fixture(scope="module")
def template(templates: dict[Preset, Template]) -> Template:
    return templates["standard"]


@pytest.fixture(scope="module")
def others() -> Template:
    """With an existing VPC and warehouse, and a load balancer."""
    return templates_of(own_everything())["shop-services"]


# With a task for each service.
SEPARATE: tuple[Preset, ...] = ("standard", "high-availability")


def service(template: Template, name: Service) -> dict[str, Any]:
    (one,) = (s for s in of_type(template, "AWS::ECS::Service").values() if s["Properties"]["ServiceName"] == name)
    return cast("dict[str, Any]", one["Properties"])


def needed_before(template: Template, name: Service) -> set[str]:
    """The services that are created and updated before this one."""
    services = of_type(template, "AWS::ECS::Service")
    (one,) = (s for s in services.values() if s["Properties"]["ServiceName"] == name)
    return {services[other]["Properties"]["ServiceName"] for other in one.get("DependsOn", ()) if other in services}


def task(template: Template, name: Service) -> dict[str, Any]:
    definition = template["Resources"][service(template, name)["TaskDefinition"]["Ref"]]
    return cast("dict[str, Any]", definition["Properties"])


def container(template: Template, name: Service) -> dict[str, Any]:
    (one,) = task(template, name)["ContainerDefinitions"]
    return cast("dict[str, Any]", one)


def told(template: Template, name: Service, variable: str) -> Any:
    """The value of a variable in a task's environment."""
    (value,) = (one["Value"] for one in container(template, name)["Environment"] if one["Name"] == variable)
    return value


def role(template: Template, name: Service, of: str) -> list[dict[str, Any]]:
    """The statements of a task's role."""
    found = template["Resources"][task(template, name)[of]["Fn::GetAtt"][0]]["Properties"]
    (policy,) = found["Policies"]
    assert "ManagedPolicyArns" not in found
    return cast("list[dict[str, Any]]", policy["PolicyDocument"]["Statement"])


@pytest.mark.parametrize("preset", SEPARATE)
@pytest.mark.parametrize("name", SERVICES)
def test_a_task_is_sized_as_the_preset_says(templates: dict[Preset, Template], preset: Preset, name: Service) -> None:
    sizing, made = SIZINGS[preset].tasks[name], task(templates[preset], name)
    assert (made["Cpu"], made["Memory"]) == (str(sizing.cpu), str(sizing.memory))
    assert made["RuntimePlatform"] == {"CpuArchitecture": "ARM64", "OperatingSystemFamily": "LINUX"}
    assert service(templates[preset], name)["DesiredCount"] == sizing.minimum


@pytest.mark.parametrize("name", SERVICES)
def test_a_failed_deployment_rolls_back_and_the_first_task_is_on_demand(template: Template, name: Service) -> None:
    made = service(template, name)
    deployment = made["DeploymentConfiguration"]
    assert deployment["DeploymentCircuitBreaker"] == {"Enable": True, "Rollback": True}
    on_demand, spot = made["CapacityProviderStrategy"]
    assert (on_demand["CapacityProvider"], on_demand["Base"]) == ("FARGATE", 1)
    assert spot["CapacityProvider"] == "FARGATE_SPOT"
    assert spot["Weight"] > on_demand["Weight"] > 0
    assert made["EnableExecuteCommand"] is False


@pytest.mark.parametrize("preset", SEPARATE)
def test_load_never_has_a_second_task(templates: dict[Preset, Template], preset: Preset) -> None:
    made = service(templates[preset], "load")
    assert made["DesiredCount"] == 1
    assert made["DeploymentConfiguration"]["MaximumPercent"] == 100
    assert made["DeploymentConfiguration"]["MinimumHealthyPercent"] == 0
    # ECS refuses rebalancing where there is no room for one more.
    assert made["AvailabilityZoneRebalancing"] == "DISABLED"
    scaled = [
        t["Properties"]["ResourceId"]
        for t in of_type(templates[preset], "AWS::ApplicationAutoScaling::ScalableTarget").values()
    ]
    assert scaled == ["service/shop/transform"]


def test_transform_and_load_are_updated_before_ingest(template: Template, others: Template) -> None:
    for one in (template, others):
        assert needed_before(one, "transform") == set()
        assert needed_before(one, "load") == {"transform"}
        assert needed_before(one, "ingest") == {"load"}


@pytest.mark.parametrize("name", SERVICES)
def test_a_task_has_time_to_stop_within_the_limit_of_fargate(template: Template, name: Service) -> None:
    grace = SETTINGS[name].model_fields["shutdown_grace"].default.total_seconds()
    assert grace + 5 < container(template, name)["StopTimeout"] < FARGATE_KILLS_AFTER


@pytest.mark.parametrize("name", SERVICES)
def test_containers_run_with_minimal_privileges(template: Template, name: Service) -> None:
    made = container(template, name)
    assert made["ReadonlyRootFilesystem"] is True
    assert made["User"] == "10001:10001"
    assert made["Privileged"] is False
    assert made["LinuxParameters"]["Capabilities"] == {"Drop": ["ALL"]}
    assert made["MountPoints"] == [{"ContainerPath": "/tmp", "ReadOnly": False, "SourceVolume": "tmp"}]
    assert task(template, name)["Volumes"] == [{"Name": "tmp"}]
    assert made["HealthCheck"]["Command"] == ["CMD", "python", "-m", "totesys.service.probe"]


@pytest.mark.parametrize("name", SERVICES)
def test_an_image_is_the_repository_s_with_the_tag_of_the_parameter(template: Template, name: Service) -> None:
    *_, repository, tag = container(template, name)["Image"]["Fn::Join"][1]
    assert (repository, tag) == (f"/shop/{name}:", {"Ref": "ImageTag"})
    assert "Default" not in template["Parameters"]["ImageTag"]


@pytest.mark.parametrize("name", SERVICES)
def test_logs_go_to_the_group_of_the_service_with_a_retention(template: Template, name: Service) -> None:
    log = container(template, name)["LogConfiguration"]
    assert log["LogDriver"] == "awslogs"
    group = template["Resources"][log["Options"]["awslogs-group"]["Ref"]]["Properties"]
    assert (group["LogGroupName"], group["RetentionInDays"]) == (f"/shop/{name}", 30)


@pytest.mark.parametrize("http", ["private-dns", "alb"])
@pytest.mark.parametrize("name", SERVICES)
def test_a_container_gets_all_required_settings_and_no_unknown_ones(
    template: Template, others: Template, name: Service, http: str
) -> None:
    made = container(template if http == "private-dns" else others, name)
    told = {one["Name"] for one in (*made["Environment"], *made["Secrets"])}
    fields = SETTINGS[name].model_fields
    assert {f"TOTESYS_{field.upper()}" for field, info in fields.items() if info.is_required()} <= told
    assert {one for one in told if one != "AWS_DEFAULT_REGION"} <= {f"TOTESYS_{field.upper()}" for field in fields}
    assert "TOTESYS_TRIGGER_TOKEN" in {one["Name"] for one in made["Secrets"]}
    if name != "transform":
        assert "TOTESYS_SOURCE_DSN" in {one["Name"] for one in made["Secrets"]}


def test_the_dsn_of_a_created_warehouse_names_its_secret_and_holds_no_password(template: Template) -> None:
    (dsn,) = (v["Value"] for v in container(template, "load")["Environment"] if v["Name"] == "TOTESYS_WAREHOUSE_DSN")
    first, _, _, _, last, secret = dsn["Fn::Join"][1]
    assert (first, last) == ("postgresql://", "/warehouse?sslmode=verify-full&secret=")
    assert "MasterUserSecret" in secret["Fn::ImportValue"]
    assert secret in [s["Resource"] for s in role(template, "load", "TaskRoleArn")]


def test_secrets_manager_generates_the_trigger_token(template: Template) -> None:
    ((key, secret),) = of_type(template, "AWS::SecretsManager::Secret").items()
    assert secret["Properties"]["GenerateSecretString"]["PasswordLength"] >= 32
    for name in SERVICES:
        (told,) = (s for s in container(template, name)["Secrets"] if s["Name"] == "TOTESYS_TRIGGER_TOKEN")
        assert told["ValueFrom"] == {"Ref": key}


@pytest.mark.parametrize("name", SERVICES)
def test_the_execution_role_reads_the_secrets_and_the_image_of_its_service_and_no_other(
    others: Template, name: Service
) -> None:
    may = {
        action: [statement["Resource"]] if not isinstance(statement["Resource"], list) else statement["Resource"]
        for statement in role(others, name, "ExecutionRoleArn")
        for action in ([statement["Action"]] if isinstance(statement["Action"], str) else statement["Action"])
    }
    region = "eu-west-2:123456789012"
    assert may.pop("secretsmanager:GetSecretValue") == [s["ValueFrom"] for s in container(others, name)["Secrets"]]
    assert may == {
        "ecr:GetAuthorizationToken": ["*"],
        **{action: [f"arn:aws:ecr:{region}:repository/shop/{name}"] for action in PULLS},
        **{action: [f"arn:aws:logs:{region}:log-group:/shop/{name}:*"] for action in LOGS},
    }


def test_tasks_may_decrypt_secrets_under_customer_managed_keys() -> None:
    keys = {"source": f"{KEY}0", "warehouse": f"{KEY}1"}
    template = templates_of(
        environment(
            "standard",
            source={"secret": f"{SECRET}:totesys-source-AbCdEf", "secret_key": keys["source"]},
            warehouse={"secret": OWN_SECRET, "secret_key": keys["warehouse"]},
        )
    )["shop-services"]
    may = {
        name: {
            statement["Resource"]
            for statement in role(template, name, "ExecutionRoleArn")
            if statement["Action"] == "kms:Decrypt"
        }
        for name in SERVICES
    }
    assert may == {"ingest": {keys["source"]}, "transform": set(), "load": {*keys.values()}}


def test_tasks_read_the_logins_that_their_dsns_name() -> None:
    logins = {"source": f"{SECRET}:rds!db-0123-AbCdEf", "warehouse": f"{SECRET}:rds!db-4567-AbCdEf"}
    template = templates_of(
        environment(
            "standard",
            source={"secret": f"{SECRET}:totesys-source-AbCdEf", "login": logins["source"], "login_key": KEY},
            warehouse={"secret": OWN_SECRET, "login": logins["warehouse"]},
        )
    )["shop-services"]

    def may(name: Service, action: str) -> set[str]:
        return {one["Resource"] for one in role(template, name, "TaskRoleArn") if one["Action"] == action}

    assert {name: may(name, "secretsmanager:GetSecretValue") for name in SERVICES} == {
        "ingest": {logins["source"]},
        "transform": set(),
        "load": {*logins.values()},
    }
    assert {name: may(name, "kms:Decrypt") for name in SERVICES} == {
        "ingest": {KEY},
        "transform": set(),
        "load": {KEY},
    }


def test_every_task_has_its_own_roles(template: Template) -> None:
    roles = [
        task(template, name)[of]["Fn::GetAtt"][0] for name in SERVICES for of in ("ExecutionRoleArn", "TaskRoleArn")
    ]
    assert len(set(roles)) == 6
    ops = {key for key in of_type(template, "AWS::IAM::Role") if key.startswith("Ops")}
    assert len(ops) == 2
    assert set(roles) | ops == set(of_type(template, "AWS::IAM::Role"))
    assert not of_type(template, "AWS::IAM::Policy")


def test_only_load_gets_the_secret_of_an_existing_warehouse(others: Template) -> None:
    told = {name: {s["Name"]: s["ValueFrom"] for s in container(others, name)["Secrets"]} for name in SERVICES}
    assert told["load"]["TOTESYS_WAREHOUSE_DSN"] == OWN_SECRET
    assert "TOTESYS_WAREHOUSE_DSN" not in {**told["ingest"], **told["transform"]}
    assert told["ingest"]["TOTESYS_SOURCE_DSN"] == f"{SECRET}:totesys-source-AbCdEf"
    assert "TOTESYS_SOURCE_DSN" not in told["transform"]


@pytest.mark.parametrize("preset", SEPARATE)
def test_transform_scales_with_waiting_messages_per_task(templates: dict[Preset, Template], preset: Preset) -> None:
    sizing = SIZINGS[preset].tasks["transform"]
    ((key, target),) = of_type(templates[preset], "AWS::ApplicationAutoScaling::ScalableTarget").items()
    assert target["Properties"]["MinCapacity"] == sizing.minimum >= 1
    assert target["Properties"]["MaxCapacity"] == sizing.maximum
    (policy,) = of_type(templates[preset], "AWS::ApplicationAutoScaling::ScalingPolicy").values()
    assert policy["Properties"]["ScalingTargetId"] == {"Ref": key}
    tracked = policy["Properties"]["TargetTrackingScalingPolicyConfiguration"]["CustomizedMetricSpecification"]
    waiting, running, backlog = tracked["Metrics"]
    assert backlog["Expression"] == "m1 / IF(m2 > 0, m2, 1)"
    assert [one["ReturnData"] for one in tracked["Metrics"]] == [False, False, True]
    assert waiting["MetricStat"]["Metric"] == {
        "Namespace": "AWS/SQS",
        "MetricName": "ApproximateNumberOfMessagesVisible",
        "Dimensions": [{"Name": "QueueName", "Value": "shop-transform"}],
    }
    # The number of samples in a minute is the number of tasks.
    assert [one["MetricStat"]["Stat"] for one in (waiting, running)] == ["Average", "SampleCount"]
    assert running["MetricStat"]["Metric"] == {
        "Namespace": "AWS/ECS",
        "MetricName": "CPUUtilization",
        "Dimensions": [{"Name": "ClusterName", "Value": "shop"}, {"Name": "ServiceName", "Value": "transform"}],
    }


def test_the_cluster_has_both_capacities_before_a_service_is_made_and_no_paid_metrics(template: Template) -> None:
    (cluster,) = of_type(template, "AWS::ECS::Cluster").values()
    assert cluster["Properties"]["ClusterSettings"] == [{"Name": "containerInsights", "Value": "disabled"}]
    assert cluster["Properties"]["CapacityProviders"] == ["FARGATE", "FARGATE_SPOT"]


def test_private_dns_names_each_service(template: Template) -> None:
    (namespace,) = of_type(template, "AWS::ServiceDiscovery::PrivateDnsNamespace").values()
    assert namespace["Properties"]["Name"] == "shop.internal"
    named = [one["Properties"]["Name"] for one in of_type(template, "AWS::ServiceDiscovery::Service").values()]
    assert named == list(SERVICES)
    assert not of_type(template, "AWS::ElasticLoadBalancingV2::LoadBalancer")


def test_a_load_balancer_is_internal_speaks_tls_only_and_has_a_port_for_each_service(others: Template) -> None:
    (balancer,) = of_type(others, "AWS::ElasticLoadBalancingV2::LoadBalancer").values()
    assert balancer["Properties"]["Scheme"] == "internal"
    listeners = of_type(others, "AWS::ElasticLoadBalancingV2::Listener").values()
    assert [listener["Properties"]["Port"] for listener in listeners] == [8081, 8082, 8083]
    for listener in listeners:
        assert listener["Properties"]["Protocol"] == "HTTPS"
        assert listener["Properties"]["Certificates"] == [{"CertificateArn": CERTIFICATE}]
    for group in of_type(others, "AWS::ElasticLoadBalancingV2::TargetGroup").values():
        assert group["Properties"]["HealthCheckPath"] == "/health"
    assert not of_type(others, "AWS::ServiceDiscovery::Service")


def test_nothing_needs_a_lambda_function_or_an_asset() -> None:
    for stack, template in templates_of(environment("high-availability", network={"egress": "endpoints"})).items():
        kinds = {one["Type"] for one in template["Resources"].values()}
        assert not {kind for kind in kinds if kind.startswith(("Custom::", "AWS::CloudFormation::", "AWS::Lambda::"))}
        assert "AssetParameters" not in json.dumps(template), stack


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_answers_to_its_host_name(template: Template, name: Service) -> None:
    assert told(template, name, "TOTESYS_ALLOWED_HOSTS") == f"{name}.shop.internal"
    named = templates_of(environment("standard", http="alb", hosts=["warehouse.shop.example"]))["shop-services"]
    (balancer,) = of_type(named, "AWS::ElasticLoadBalancingV2::LoadBalancer")
    hosts = told(named, name, "TOTESYS_ALLOWED_HOSTS")
    assert hosts == {"Fn::Join": ["", [{"Fn::GetAtt": [balancer, "DNSName"]}, ",warehouse.shop.example"]]}
