"""The warehouse: protected, encrypted, and reachable only by load."""

from typing import Any

import pytest

from tests.infra.environments import OWN_SECRET, PRESETS, READERS, environment, own_warehouse, templates_of
from tests.infra.test_data_plane import of_type
from totesys_infra.sizing import PRESETS as SIZINGS
from totesys_infra.sizing import Preset

Template = dict[str, Any]


@pytest.fixture(scope="module")
def templates() -> dict[Preset, Template]:
    return {preset: templates_of(environment(preset))["shop-warehouse"] for preset in PRESETS}


def instance(template: Template) -> dict[str, Any]:
    (one,) = of_type(template, "AWS::RDS::DBInstance").values()
    return one


@pytest.mark.parametrize("preset", PRESETS)
def test_it_is_sized_as_the_preset_says(templates: dict[Preset, Template], preset: Preset) -> None:
    made, sizing = instance(templates[preset])["Properties"], SIZINGS[preset]
    assert made["DBInstanceClass"] == f"db.{sizing.warehouse_class}"
    assert made["AllocatedStorage"] == str(sizing.warehouse_gib)
    assert made["MultiAZ"] == sizing.warehouse_multi_az
    assert made["BackupRetentionPeriod"] == sizing.backup_days >= 1
    assert made["EnablePerformanceInsights"] == (preset == "high-availability")


@pytest.mark.parametrize("preset", PRESETS)
def test_it_is_encrypted_requires_tls_and_is_not_public(templates: dict[Preset, Template], preset: Preset) -> None:
    made = instance(templates[preset])["Properties"]
    # Without a minor version, which RDS lets nobody create once it is old.
    assert (made["Engine"], made["EngineVersion"]) == ("postgres", "17")
    assert made["StorageType"] == "gp3"
    assert made["StorageEncrypted"] is True
    assert made["PubliclyAccessible"] is False
    (parameters,) = of_type(templates[preset], "AWS::RDS::DBParameterGroup").items()
    assert made["DBParameterGroupName"] == {"Ref": parameters[0]}
    assert parameters[1]["Properties"]["Parameters"]["rds.force_ssl"] == "1"


@pytest.mark.parametrize("preset", PRESETS)
def test_it_is_protected_from_deletion_and_leaves_a_snapshot(templates: dict[Preset, Template], preset: Preset) -> None:
    made = instance(templates[preset])
    assert made["Properties"]["DeletionProtection"] is True
    assert made["Properties"]["DeleteAutomatedBackups"] is False
    assert (made["DeletionPolicy"], made["UpdateReplacePolicy"]) == ("Snapshot", "Snapshot")


def test_rds_creates_its_password(templates: dict[Preset, Template]) -> None:
    made = instance(templates["lean"])["Properties"]
    assert made["ManageMasterUserPassword"] is True
    assert "MasterUserPassword" not in made


def test_only_load_reaches_it(templates: dict[Preset, Template]) -> None:
    template = templates["lean"]
    (group,) = of_type(template, "AWS::EC2::SecurityGroup").items()
    assert "SecurityGroupIngress" not in group[1]["Properties"]
    (rule,) = of_type(template, "AWS::EC2::SecurityGroupIngress").values()
    let_in = rule["Properties"]
    assert let_in["GroupId"] == {"Fn::GetAtt": [group[0], "GroupId"]}
    assert "GetAttLoad" in let_in["SourceSecurityGroupId"]["Fn::ImportValue"]
    assert (let_in["FromPort"], let_in["ToPort"]) == (5432, 5432)
    assert instance(template)["Properties"]["VPCSecurityGroups"] == [{"Fn::GetAtt": [group[0], "GroupId"]}]


def test_the_named_readers_reach_it_too() -> None:
    template = templates_of(environment("standard", warehouse={"readers": READERS}))["shop-warehouse"]
    rules = [rule["Properties"] for rule in of_type(template, "AWS::EC2::SecurityGroupIngress").values()]
    (group,) = of_type(template, "AWS::EC2::SecurityGroup").values()
    assert [rule["SourceSecurityGroupId"] for rule in rules if rule["Description"] == "Reader"] == [READERS[0]]
    assert [(rule["CidrIp"], rule["FromPort"]) for rule in group["Properties"]["SecurityGroupIngress"]] == [
        (READERS[1], 5432)
    ]
    assert all((rule["FromPort"], rule["ToPort"]) == (5432, 5432) for rule in rules)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"readers": ["0.0.0.0/0"]}, "is the whole internet"),
        ({"readers": ["everybody"]}, "is not a range of addresses"),
        ({"readers": READERS, "secret": OWN_SECRET}, "admit readers to your own warehouse"),
    ],
)
def test_readers_are_groups_or_ranges_of_a_created_warehouse(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        environment(warehouse=wrong)


def test_its_logs_are_kept_as_long_as_the_environment_says(templates: dict[Preset, Template]) -> None:
    made = instance(templates["lean"])
    groups = of_type(templates["lean"], "AWS::Logs::LogGroup")
    exports = made["Properties"]["EnableCloudwatchLogsExports"]
    assert exports == ["postgresql", "upgrade"]
    kept = [(one["Properties"]["LogGroupName"], one["Properties"]["RetentionInDays"]) for one in groups.values()]
    assert kept == [(f"/aws/rds/instance/shop-warehouse/{export}", 30) for export in exports]
    assert set(groups) <= set(made["DependsOn"])


def test_none_is_created_for_an_existing_warehouse() -> None:
    templates = templates_of(own_warehouse())
    assert "shop-warehouse" not in templates
    assert not any(of_type(template, "AWS::RDS::DBInstance") for template in templates.values())
    assert OWN_SECRET in str(templates["shop-services"])
