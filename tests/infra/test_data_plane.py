"""The data plane's template."""

import json
from typing import Any

import pytest

from tests.infra.environments import PRESETS, environment
from tests.infra.lakehouse_condition import CONDITION, PARAMETER, decided
from totesys.lake.keys import part_key
from totesys.model import MODEL
from totesys_infra import data_plane_template
from totesys_infra.deploy import release
from totesys_infra.deploy.template import values
from totesys_infra.names import SERVICES
from totesys_infra.stacks.cdk_app import data_plane, render

# What CloudFormation takes as text; beyond it a template would have to be in a bucket.
BYTES_AT_MOST = 51_200


@pytest.fixture(scope="module")
def template() -> dict[str, Any]:
    """The template as it is without a lakehouse, which tests/infra/test_lakehouse_trigger.py adds."""
    whole = data_plane()
    decided_one = decided(whole, {CONDITION: False, "HasAlertsKey": True, "IsVersioned": True})
    parameters = {**whole["Parameters"]}
    del parameters[PARAMETER]
    return {**decided_one, "Parameters": parameters}


def of_type(template: dict[str, Any], kind: str) -> dict[str, dict[str, Any]]:
    return {key: value for key, value in template["Resources"].items() if value["Type"] == kind}


def named(template: dict[str, Any], kind: str, prop: str, name: str) -> tuple[str, dict[str, Any]]:
    """The resource of a type with a name, and its logical id."""
    ((logical_id, resource),) = (
        (key, value)
        for key, value in of_type(template, kind).items()
        if value["Properties"][prop] == {"Fn::Sub": f"${{Name}}-{name}"}
    )
    return logical_id, resource


def queue(template: dict[str, Any], name: str) -> tuple[str, dict[str, Any]]:
    return named(template, "AWS::SQS::Queue", "QueueName", name)


def bucket(template: dict[str, Any], name: str) -> tuple[str, dict[str, Any]]:
    return named(template, "AWS::S3::Bucket", "BucketName", name)


def arn(logical_id: str) -> dict[str, Any]:
    return {"Fn::GetAtt": [logical_id, "Arn"]}


def statements(template: dict[str, Any], kind: str, prop: str, target: object) -> list[dict[str, Any]]:
    (policy,) = (p for p in of_type(template, kind).values() if p["Properties"][prop] == target)
    found: list[dict[str, Any]] = policy["Properties"]["PolicyDocument"]["Statement"]
    return found


def queue_statements(template: dict[str, Any], name: str) -> list[dict[str, Any]]:
    return statements(template, "AWS::SQS::QueuePolicy", "Queues", [{"Ref": queue(template, name)[0]}])


def test_the_committed_template_is_what_the_app_makes() -> None:
    assert data_plane_template() == render(data_plane()), "run `make template`"


def test_it_fits_into_a_request() -> None:
    assert len(data_plane_template().encode()) < BYTES_AT_MOST


def test_it_needs_no_bootstrap_no_assets_and_no_functions(template: dict[str, Any]) -> None:
    assert set(template) == {"Description", "Parameters", "Conditions", "Resources", "Outputs"}
    schedules = {"Schedule", "SweepSchedule", "VerifySchedule", "ScheduleState"}
    assert set(template["Parameters"]) == {
        *("Name", "AlertEmail", "AlertHttps", "EncryptAlerts", "TierDays", "CsvDays", "Versioning"),
        *schedules,
    }
    assert {resource["Type"] for resource in template["Resources"].values()} == {
        "AWS::S3::Bucket",
        "AWS::S3::BucketPolicy",
        "AWS::SQS::Queue",
        "AWS::SQS::QueuePolicy",
        "AWS::Events::Rule",
        "AWS::KMS::Key",
        "AWS::SNS::Topic",
        "AWS::SNS::TopicPolicy",
        "AWS::SNS::Subscription",
    }
    assert not any("Metadata" in resource for resource in template["Resources"].values())


def test_its_parameters_have_defaults(template: dict[str, Any]) -> None:
    parameters = template["Parameters"]
    assert parameters["Name"]["Default"] == "totesys"
    assert parameters["Schedule"]["Default"] == "rate(5 minutes)"
    assert parameters["SweepSchedule"]["Default"] == "rate(1 hour)"
    assert parameters["VerifySchedule"]["Default"] == "rate(1 day)"
    assert parameters["ScheduleState"]["Default"] == "ENABLED"
    assert parameters["ScheduleState"]["AllowedValues"] == ["ENABLED", "DISABLED"]
    assert parameters["AlertEmail"]["Default"] == parameters["AlertHttps"]["Default"] == ""
    assert parameters["AlertHttps"]["NoEcho"] is True
    for days in ("TierDays", "CsvDays"):
        assert parameters[days]["Default"] == "0"
        assert parameters[days]["AllowedValues"] == ["0", "30", "60", "90", "180", "365"]


@pytest.mark.parametrize(("name", "policy"), [("ingest", "Retain"), ("processed", "Retain"), ("code", "Delete")])
def test_buckets_are_private_and_encrypted(template: dict[str, Any], name: str, policy: str) -> None:
    logical_id, resource = bucket(template, name)
    assert resource["DeletionPolicy"] == resource["UpdateReplacePolicy"] == policy
    properties = resource["Properties"]
    assert set(properties["PublicAccessBlockConfiguration"].values()) == {True}
    (rule,) = properties["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert rule == {"ServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}
    assert properties.get("VersioningConfiguration") == (None if name == "code" else {"Status": "Enabled"})
    (only,) = statements(template, "AWS::S3::BucketPolicy", "Bucket", {"Ref": logical_id})
    assert only["Effect"] == "Deny"
    assert only["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    assert only["Resource"] == [arn(logical_id), {"Fn::Join": ["", [arn(logical_id), "/*"]]}]


def test_there_are_three_buckets_and_six_queues(template: dict[str, Any]) -> None:
    assert len(of_type(template, "AWS::S3::Bucket")) == 3
    assert len(of_type(template, "AWS::SQS::Queue")) == 6


@pytest.mark.parametrize("service", SERVICES)
def test_a_queue_has_its_dead_letter_queue(template: dict[str, Any], service: str) -> None:
    dlq_id, dead_letters = queue(template, f"{service}-dlq")
    properties = queue(template, service)[1]["Properties"]
    assert properties["RedrivePolicy"] == {"deadLetterTargetArn": arn(dlq_id), "maxReceiveCount": 5}
    assert properties["MessageRetentionPeriod"] == 4 * 86_400
    assert properties["VisibilityTimeout"] == 60
    assert properties["ReceiveMessageWaitTimeSeconds"] == 20
    assert dead_letters["Properties"]["MessageRetentionPeriod"] == 14 * 86_400


@pytest.mark.parametrize("name", [f"{service}{suffix}" for service in SERVICES for suffix in ("", "-dlq")])
def test_queues_are_encrypted_at_rest_and_on_the_way(template: dict[str, Any], name: str) -> None:
    assert queue(template, name)[1]["Properties"]["SqsManagedSseEnabled"] is True
    (deny,) = (s for s in queue_statements(template, name) if s["Effect"] == "Deny")
    assert deny["Action"] == "sqs:*"
    assert deny["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


@pytest.mark.parametrize(("source", "target"), [("ingest", "transform"), ("processed", "load")])
def test_a_commit_in_a_bucket_triggers_the_next_service(template: dict[str, Any], source: str, target: str) -> None:
    bucket_properties = bucket(template, source)[1]["Properties"]
    assert bucket_properties["NotificationConfiguration"] == {
        "QueueConfigurations": [
            {
                "Event": "s3:ObjectCreated:*",
                "Filter": {"S3Key": {"Rules": [{"Name": "suffix", "Value": "manifest.json"}]}},
                "Queue": arn(queue(template, target)[0]),
            }
        ]
    }


@pytest.mark.parametrize(("source", "target"), [("ingest", "transform"), ("processed", "load")])
def test_only_that_bucket_of_that_account_may_send(template: dict[str, Any], source: str, target: str) -> None:
    queue_id = queue(template, target)[0]
    allowed = [s for s in queue_statements(template, target) if s["Effect"] == "Allow"]
    (allow,) = (s for s in allowed if s["Principal"] != {"Service": "events.amazonaws.com"})
    assert allow == {
        "Action": "sqs:SendMessage",
        "Effect": "Allow",
        "Principal": {"Service": "s3.amazonaws.com"},
        "Resource": arn(queue_id),
        "Condition": {
            "ArnEquals": {"aws:SourceArn": {"Fn::Sub": f"arn:${{AWS::Partition}}:s3:::${{Name}}-{source}"}},
            "StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}},
        },
    }
    # S3 tries whether it may send when the notification is made, so the policy has to be there first.
    (policy_id,) = (
        key
        for key, value in of_type(template, "AWS::SQS::QueuePolicy").items()
        if value["Properties"]["Queues"] == [{"Ref": queue_id}]
    )
    assert policy_id in bucket(template, source)[1]["DependsOn"]


@pytest.mark.parametrize(
    ("name", "parameter", "service", "message"),
    [
        ("Tick", "Schedule", "ingest", {"mode": "changes", "trigger": "schedule"}),
        ("Sweep", "SweepSchedule", "ingest", {"mode": "sweep", "trigger": "schedule"}),
        ("Verify", "VerifySchedule", "load", {"verify": True}),
    ],
)
def test_each_schedule_triggers_one_service(
    template: dict[str, Any], name: str, parameter: str, service: str, message: dict[str, Any]
) -> None:
    rules = of_type(template, "AWS::Events::Rule")
    assert set(rules) == {"Tick", "Sweep", "Verify"}
    properties = rules[name]["Properties"]
    assert properties["Name"] == {"Fn::Sub": f"${{Name}}-{name.lower()}"}
    assert properties["ScheduleExpression"] == {"Ref": parameter}
    assert properties["State"] == {"Ref": "ScheduleState"}
    (target,) = properties["Targets"]
    assert target["Arn"] == arn(queue(template, service)[0])
    assert json.loads(target["Input"]) == message
    allowed = [s for s in queue_statements(template, service) if s["Effect"] == "Allow"]
    (allow,) = (s for s in allowed if s["Condition"] == {"ArnEquals": {"aws:SourceArn": arn(name)}})
    assert allow["Principal"] == {"Service": "events.amazonaws.com"}


def test_no_policy_lets_another_service_send_to_a_dead_letter_queue(template: dict[str, Any]) -> None:
    for service in SERVICES:
        assert not [s for s in queue_statements(template, f"{service}-dlq") if s["Effect"] == "Allow"]


def rules(template: dict[str, Any], name: str) -> list[dict[str, Any]]:
    """A bucket's lifecycle rules; a conditional one with its condition as `If`."""
    found: list[dict[str, Any]] = bucket(template, name)[1]["Properties"]["LifecycleConfiguration"]["Rules"]
    return [{"If": rule["Fn::If"][0], **rule["Fn::If"][1]} if "Fn::If" in rule else rule for rule in found]


@pytest.mark.parametrize("name", ["ingest", "processed", "code"])
def test_incomplete_uploads_expire_after_a_day(template: dict[str, Any], name: str) -> None:
    assert rules(template, name)[0] == {
        "Status": "Enabled",
        "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 1},
    }


def test_what_a_deployment_reads_once_expires_and_releases_do_not(template: dict[str, Any]) -> None:
    expiring = {rule["Prefix"]: rule["ExpirationInDays"] for rule in rules(template, "code")[1:]}
    assert expiring == {"bundles/": 30, "templates/": 30}
    assert not any(release.PREFIX.startswith(prefix) for prefix in expiring)


def test_large_lake_objects_move_to_a_cheaper_tier_only_if_set(template: dict[str, Any]) -> None:
    for name in ("ingest", "processed"):
        assert rules(template, name)[2] == {
            "If": "HasTierDays",
            "Status": "Enabled",
            "ObjectSizeGreaterThan": "131072",
            "Transitions": [{"StorageClass": "INTELLIGENT_TIERING", "TransitionInDays": {"Ref": "TierDays"}}],
        }
    assert template["Conditions"]["HasTierDays"] == {"Fn::Not": [{"Fn::Equals": [{"Ref": "TierDays"}, "0"]}]}


def test_nothing_that_a_rebuild_needs_can_expire(template: dict[str, Any]) -> None:
    assert not [rule for rule in rules(template, "processed") if "ExpirationInDays" in rule]
    assert len(rules(template, "processed")) == 3


def test_csv_expires_only_if_set_and_records_never_do(template: dict[str, Any]) -> None:
    expiring = rules(template, "ingest")[3:]
    assert [rule.pop("Prefix") for rule in expiring] == ["conformed/", "payments/", "purchases/", "sales/", "keys/"]
    once = {"If": "HasCsvDays", "Status": "Enabled", "ExpirationInDays": {"Ref": "CsvDays"}}
    assert expiring == [once] * 5
    folders = {part_key(MODEL.lake_schema(table), table.name, 1, 0, "csv").split("/")[0] for table in MODEL.sources}
    assert folders == {"conformed", "payments", "purchases", "sales"}
    assert template["Conditions"]["HasCsvDays"] == {"Fn::Not": [{"Fn::Equals": [{"Ref": "CsvDays"}, "0"]}]}


def test_alerts_are_encrypted_with_a_key_that_their_senders_may_use(template: dict[str, Any]) -> None:
    ((key_id, key),) = of_type(template, "AWS::KMS::Key").items()
    assert key["Properties"]["EnableKeyRotation"] is True
    administer, use = key["Properties"]["KeyPolicy"]["Statement"]
    assert administer["Principal"]["AWS"]["Fn::Join"][1][-1] == ":root"
    assert use == {
        "Action": ["kms:GenerateDataKey*", "kms:Decrypt"],
        "Effect": "Allow",
        "Principal": {"Service": ["cloudwatch.amazonaws.com", "budgets.amazonaws.com", "events.amazonaws.com"]},
        "Resource": "*",
    }
    _, topic = named(template, "AWS::SNS::Topic", "TopicName", "alerts")
    assert topic["Properties"]["KmsMasterKeyId"] == arn(key_id)


def test_local_stacks_keep_no_versions_and_a_frugal_preset_has_no_key() -> None:
    whole = data_plane()
    assert {name: whole["Parameters"][name]["Default"] for name in ("Versioning", "EncryptAlerts")} == {
        "Versioning": "false",
        "EncryptAlerts": "true",
    }
    frugal = decided(whole, {CONDITION: False, "HasAlertsKey": False, "IsVersioned": False})
    assert not of_type(frugal, "AWS::KMS::Key")
    assert "KmsMasterKeyId" not in named(frugal, "AWS::SNS::Topic", "TopicName", "alerts")[1]["Properties"]
    assert not any("VersioningConfiguration" in b["Properties"] for b in of_type(frugal, "AWS::S3::Bucket").values())
    told = {preset: values(environment(preset), "any") for preset in PRESETS}
    assert {preset: one["EncryptAlerts"] for preset, one in told.items()} == {
        "scheduled": "false",
        "lean": "false",
        "standard": "true",
        "high-availability": "true",
    }
    assert {one["Versioning"] for one in told.values()} == {"true"}
    assert (told["scheduled"]["Schedule"], told["lean"]["Schedule"]) == ("rate(15 minutes)", "rate(5 minutes)")


def test_deleted_lake_objects_stay_for_a_month(template: dict[str, Any]) -> None:
    for name in ("ingest", "processed"):
        assert rules(template, name)[1] == {"Status": "Enabled", "NoncurrentVersionExpiration": {"NoncurrentDays": 30}}


def test_only_alarms_the_budget_and_events_may_publish_alerts_and_only_over_tls(template: dict[str, Any]) -> None:
    topic = {"Ref": named(template, "AWS::SNS::Topic", "TopicName", "alerts")[0]}
    plain, of_account, events = statements(template, "AWS::SNS::TopicPolicy", "Topics", [topic])
    assert (plain["Effect"], plain["Condition"]) == ("Deny", {"Bool": {"aws:SecureTransport": "false"}})
    assert of_account["Principal"] == {"Service": ["cloudwatch.amazonaws.com", "budgets.amazonaws.com"]}
    assert of_account["Condition"] == {"StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}}
    assert events["Principal"] == {"Service": "events.amazonaws.com"}
    # EventBridge sends nothing that a condition could ask for: with one, nothing would arrive.
    assert "Condition" not in events
    for statement in (plain, of_account, events):
        assert (statement["Action"], statement["Resource"]) == ("sns:Publish", topic)


@pytest.mark.parametrize("protocol", ["email", "https"])
def test_an_address_is_subscribed_if_there_is_one(template: dict[str, Any], protocol: str) -> None:
    name = protocol.title()
    subscription = of_type(template, "AWS::SNS::Subscription")[f"AlertsBy{name}"]
    assert subscription["Condition"] == f"HasAlert{name}"
    given = {"Fn::Not": [{"Fn::Equals": [{"Ref": f"Alert{name}"}, ""]}]}
    assert template["Conditions"][f"HasAlert{name}"] == given
    assert subscription["Properties"]["Protocol"] == protocol
    assert subscription["Properties"]["Endpoint"] == {"Ref": f"Alert{name}"}


def test_its_outputs_say_where_everything_is(template: dict[str, Any]) -> None:
    expected = {f"{name.title()}Bucket": bucket(template, name)[0] for name in ("ingest", "processed", "code")}
    for service in SERVICES:
        expected[f"{service.title()}QueueUrl"] = queue(template, service)[0]
        expected[f"{service.title()}DlqUrl"] = queue(template, f"{service}-dlq")[0]
    expected["AlertsTopic"] = named(template, "AWS::SNS::Topic", "TopicName", "alerts")[0]
    assert template["Outputs"] == {key: {"Value": {"Ref": value}} for key, value in expected.items()}
