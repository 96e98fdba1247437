"""What a deployment decides before it asks AWS: what loses data, what to go back to, which files are wrong."""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, get_args

import boto3
import pytest
from botocore.stub import Stubber

from totesys.errors import SettingsError
from totesys_infra.deploy.bundle import Commit
from totesys_infra.deploy.change import Change, changes_of, table
from totesys_infra.deploy.clients import AwsClients
from totesys_infra.deploy.cloudformation import advice
from totesys_infra.deploy.deployment import Deployment
from totesys_infra.deploy.failures import BuildFailed, DeployRefused
from totesys_infra.deploy.images import build
from totesys_infra.deploy.order import require_data_kept
from totesys_infra.deploy.release import Release, choose
from totesys_infra.deploy.template import stack_template
from totesys_infra.deploy.up import report_subscription
from totesys_infra.environment import LONGEST_NAME
from totesys_infra.environment_file import FOLDER, read_environment
from totesys_infra.names import Names, Purpose

if TYPE_CHECKING:
    from mypy_boto3_cloudformation.type_defs import ResourceChangeTypeDef

EXAMPLE = FOLDER / "example.toml"


@pytest.mark.parametrize(
    ("resource", "loses"),
    [
        ({"Action": "Modify", "ResourceType": "AWS::S3::Bucket", "Replacement": "False"}, False),
        ({"Action": "Modify", "ResourceType": "AWS::S3::Bucket", "Replacement": "True"}, True),
        ({"Action": "Modify", "ResourceType": "AWS::RDS::DBInstance", "Replacement": "Conditional"}, True),
        ({"Action": "Remove", "ResourceType": "AWS::SQS::Queue"}, True),
        # Presets add and remove these two.
        ({"Action": "Remove", "ResourceType": "AWS::KMS::Key", "LogicalResourceId": "AlertsKey9D05DB5E"}, False),
        (
            {"Action": "Remove", "ResourceType": "AWS::SecretsManager::Secret", "LogicalResourceId": "TriggerToken1"},
            False,
        ),
        ({"Action": "Remove", "ResourceType": "AWS::KMS::Key", "LogicalResourceId": "LakeKey"}, True),
        ({"Action": "Remove", "ResourceType": "AWS::Events::Rule"}, False),
        ({"Action": "Modify", "ResourceType": "AWS::ECS::TaskDefinition", "Replacement": "True"}, False),
    ],
)
def test_only_loss_of_stored_data_needs_a_confirmation(resource: "ResourceChangeTypeDef", loses: bool) -> None:
    (change,) = changes_of([{"Type": "Resource", "ResourceChange": {"LogicalResourceId": "It", **resource}}])
    assert change.loses_data is loses
    assert table([change]).endswith(" !") is loses
    if loses:
        with pytest.raises(DeployRefused, match="--accept-data-loss"):
            require_data_kept([change])


@pytest.mark.parametrize(
    ("changed", "loses"),
    [({"MultiAZ"}, False), ({"MultiAZ", "BackupRetentionPeriod"}, False), ({"MultiAZ", "Engine"}, True), (set(), True)],
)
def test_what_rds_changes_in_place_needs_no_permission_to_lose_data(changed: set[str], loses: bool) -> None:
    """CloudFormation calls the replacement conditional, as it does where RDS would make another instance."""
    details = [{"Target": {"Name": name, "RequiresRecreation": "Conditionally"}} for name in changed]
    details.append({"Target": {"Name": "DBInstanceClass", "RequiresRecreation": "Never"}})
    resource: ResourceChangeTypeDef = {
        "Action": "Modify",
        "ResourceType": "AWS::RDS::DBInstance",
        "Replacement": "Conditional",
        "Details": details,  # type: ignore[typeddict-item]
    }
    (change,) = changes_of([{"Type": "Resource", "ResourceChange": resource}])
    assert change.loses_data is loses


def releases(*revisions: str) -> list[Release]:
    return [Release(revision=revision, released_at=datetime.now(UTC), stacks={}) for revision in revisions]


@pytest.mark.parametrize(
    ("recorded", "now", "wanted", "chosen"),
    [
        (["a1", "b2", "c3"], "c3", None, "b2"),
        (["a1", "b2"], "c3", None, "b2"),
        (["a1", "b2", "b2"], "b2", None, "a1"),
        (["a1", "b2", "a1"], "a1", None, "b2"),
        (["a1", "b2", "c3"], "c3", "a", "a1"),
    ],
)
def test_a_rollback_returns_to_the_previous_or_the_named_release(
    recorded: list[str], now: str, wanted: str | None, chosen: str
) -> None:
    assert choose(releases(*recorded), now, wanted).revision == chosen


def test_without_an_earlier_release_there_is_nothing_to_roll_back_to() -> None:
    with pytest.raises(DeployRefused, match="No release before a1"):
        choose(releases("a1"), "a1", None)
    with pytest.raises(DeployRefused, match="The releases are: a1, b2"):
        choose(releases("a1", "b2"), "b2", "zz")


def test_a_parameter_without_a_value_is_refused_before_any_request() -> None:
    content = {"Parameters": {"Set": {"Type": "String"}, "Unset": {"Type": "String"}}, "Resources": {}}
    with pytest.raises(DeployRefused, match="declares the parameter Unset"):
        stack_template("one", content, {"Set": "1"})


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("a--b", "two hyphens in a row"),
        ("a" * 25, "has 25 characters, and at most 24"),
        ("shop-of-the-north-and-the-south-1", "has 33 characters, and at most 24"),
        ("internal-shop", "begins with a prefix that AWS reserves"),
        ("sthree-shop", "begins with a prefix that AWS reserves"),
        ("Shop", "is not 2 to 24 lower-case letters"),
        ("shop-", "is not 2 to 24 lower-case letters"),
        ("1shop", "is not 2 to 24 lower-case letters"),
        ("s", "is not 2 to 24 lower-case letters"),
        ("shop_1", "is not 2 to 24 lower-case letters"),
        ("", "is not 2 to 24 lower-case letters"),
    ],
)
def test_a_name_that_a_resource_cannot_have_is_refused_with_a_sentence(tmp_path: Path, name: str, said: str) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(EXAMPLE.read_text().replace('name = "totesys-example"', f'name = "{name}"'))
    with pytest.raises(SettingsError, match=said):
        read_environment(path)


def test_the_longest_name_leaves_every_name_within_its_limit() -> None:
    """AWS's limits: 63 for buckets and RDS, 32 for load balancers, 64 for roles and rules."""
    names = Names("a" * LONGEST_NAME, "123456789012", "eu-west-2")
    assert max(len(names.bucket(one)) for one in get_args(Purpose)) <= 63
    assert len(names.warehouse_instance) <= 63
    assert len(names.name) <= 32
    assert max(map(len, (names.deploy_role, names.execution_role))) <= 64
    # Half of a role's 64 characters, less two hyphens and twelve of CloudFormation's own, is the stack's part.
    assert len(names.name) <= (64 - 2 - 12) // 2


@pytest.mark.parametrize(
    ("reason", "said"),
    [
        ("The specified DB instance class is not available in the free plan", 'sizing = "lean"'),
        ("FreeTierRestrictionError: the backup retention period exceeds the maximum", "upgrade the account"),
        ("Unable to assume the service linked role. Please verify that the ECS service linked role exists", "again"),
        ("Bucket exists", ""),
    ],
)
def test_a_stack_that_fails_in_a_new_account_comes_with_advice(reason: str, said: str) -> None:
    assert said in advice(reason)
    assert bool(advice(reason)) is bool(said)


@pytest.mark.parametrize(
    ("line", "instead", "said"),
    [
        ('account = "123456789012"', 'account = "12"', "account = '12' is not an account number: 12 digits"),
        ('region = "eu-west-2"', "", "region is missing"),
        ("log_days = 30", "log_dayz = 30", "log_dayz is not a setting. Is it misspelled?"),
        ('region = "eu-west-2"', 'region = "eu-west-1"', "the secret of source has to be in eu-west-1"),
        ('cidr = "10.42.0.0/16"', 'cidr = "10.42.0.0/28"', "is not /16 to /24"),
        ('cidr = "10.42.0.0/16"', 'cidr = "10.42.0.1/16"', "10.42.0.1/16 has host bits set"),
        (
            '# tick = "rate(5 minutes)"',
            'tick = "5 minutes"',
            "'5 minutes' is not an EventBridge rate of at most an",
        ),
        ('account = "123456789012"', "account = 123456789012", "account = 123456789012 is not an account number: 12"),
        ('sizing = "lean"', 'sizing = "huge"', "sizing = 'huge': it has to be 'scheduled', 'lean',"),
        ('sizing = "lean"', "sizing = { cpu = 300 }", "sizing = {'cpu': 300}: it has to be 'scheduled', 'lean',"),
        ("log_days = 30", "log_days = 31", "log_days = 31: it has to be 7, 14, 30"),
        ("monthly_budget_usd = 100", "monthly_budget_usd = 0", "monthly_budget_usd = 0: it has to be greater than"),
        ('schema = "public"', "schema = 3", "source.schema = 3 has to be a string, in quotes"),
        ('schema = "public"', 'schema = ""', "source.schema = ''"),
        ("port = 5432", "port = 70000", "source.port = 70000: it has to be less than or equal to 65535"),
        ('cidr = "10.42.0.0/16"', 'cidr = "ours"', "cidr ours is not a range of addresses, such as 10.42.0.0/16"),
        ('cidr = "10.42.0.0/16"', 'subnets = "subnet-1"', "network.subnets = 'subnet-1' is not a list of ids"),
        ('cidr = "10.42.0.0/16"', 'vpc = "vpc-1"\nsubnets = ["a"]', "network.subnets.0 = 'a' is not a list of ids"),
        ('cidr = "10.42.0.0/16"', 'vpc = "vpc-1"\nsubnets = ["subnet-1", "subnet-1"]', "needs at least two subnets"),
        (
            'cidr = "10.42.0.0/16"',
            'vpc = "vpc-1"\nsubnets = ["subnet-1", "subnet-2"]\negress = "nat"',
            'egress "nat" is for a new VPC',
        ),
        ('sweep = "rate(1 hour)"', 'sweep = "rate(1 hours)"', "'rate(1 hours)' is not an EventBridge schedule"),
        ('sweep = "rate(1 hour)"', 'sweep = "cron(0 6 * * *)"', "'cron(0 6 * * *)' is not an EventBridge schedule"),
        ('region = "eu-west-2"', 'region = "cn-north-1"', "region cn-north-1 is in an AWS partition"),
        ("[source]", "[sauce]", "source is missing: a section, [source]"),
        ('# http = "private-dns"', 'http = "alb"', 'a certificate goes with http = "alb"'),
        (
            '# http = "private-dns"',
            'http = "alb"\ncertificate = "arn:aws:acm:us-east-1:123456789012:certificate/1"',
            "the certificate has to be in eu-west-2",
        ),
        (
            'sizing = "lean"',
            'sizing = "lean"\ngithub_repository = "acme/totesys"\ngithub_owner_id = 123456',
            "github_owner_id and github_repository_id go together",
        ),
        (
            'sizing = "lean"',
            'sizing = "lean"\ngithub_repository_id = 456789',
            "go together, and with github_repository",
        ),
        ("[lake]", "[lake", "is not valid TOML"),
    ],
)
def test_an_invalid_file_is_refused_with_its_faults(tmp_path: Path, line: str, instead: str, said: str) -> None:
    text = EXAMPLE.read_text()
    assert line in text
    path = tmp_path / "mine.toml"
    path.write_text(text.replace(line, instead, 1))
    with pytest.raises(SettingsError) as caught:
        read_environment(path)
    assert said in str(caught.value)


def test_an_account_without_a_codebuild_quota_gets_the_alternatives(tmp_path: Path) -> None:
    """As AWS answers in new accounts; the emulator has no quota."""
    commit = Commit(tmp_path, "a" * 40, "1.0")
    aws = AwsClients("eu-west-2", boto3.Session("key", "secret"))
    refusal = "Cannot have more than 0 builds in queue for the account"
    with Stubber(aws.ecr) as ecr, Stubber(aws.s3) as s3, Stubber(aws.codebuild) as codebuild:
        for _ in range(4):
            ecr.add_client_error("describe_images", "ImageNotFoundException")
        s3.add_response("head_object", {})
        codebuild.add_client_error("start_build", "AccountLimitExceededException", refusal)
        with pytest.raises(BuildFailed) as caught:
            build(Deployment(read_environment(EXAMPLE), aws, print), commit)
    said = str(caught.value)
    for alternative in ("more than 0 builds", 'images = "local"', "ubuntu-24.04-arm", "Service Quotas"):
        assert alternative in said


@pytest.mark.parametrize(
    ("subscriptions", "warned"),
    [
        ([], True),
        ([("data@example.com", "PendingConfirmation")], True),
        ([("other@example.com", "arn:aws:sns:eu-west-2:123456789012:totesys-example-alerts:1")], True),
        ([("data@example.com", "arn:aws:sns:eu-west-2:123456789012:totesys-example-alerts:1")], False),
    ],
)
def test_an_address_that_has_not_confirmed_its_subscription_is_reported(
    subscriptions: list[tuple[str, str]], warned: bool
) -> None:
    """AWS waits for the recipient; the emulator confirms at once."""
    aws, told = AwsClients("eu-west-2", boto3.Session("key", "secret")), list[str]()
    found = [{"Protocol": "email", "Endpoint": address, "SubscriptionArn": arn} for address, arn in subscriptions]
    with Stubber(aws.sns) as sns:
        sns.add_response("list_subscriptions_by_topic", {"Subscriptions": found})
        report_subscription(Deployment(read_environment(EXAMPLE), aws, told.append))
    assert bool(told) is warned
    assert all("data@example.com has not confirmed" in one for one in told)


def test_the_example_is_an_environment() -> None:
    assert read_environment(EXAMPLE).name == "totesys-example"


def test_changes_are_shown_in_columns() -> None:
    assert table([Change("Add", "Queue", "AWS::SQS::Queue")]).splitlines() == [
        "  action  logical id  type             replacement",
        "  Add     Queue       AWS::SQS::Queue  -",
    ]
