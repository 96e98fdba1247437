"""What `make deploy` does, on the emulator: stacks, the smoke test, going back, and removing it all."""

import asyncio
import json
import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack
from itertools import count
from pathlib import Path

import boto3
import pytest
from botocore.exceptions import ClientError

from tests.deployed import ACCOUNT, Place
from tests.processes import LIBRARY, Service, environment, running
from tests.sources import execute, make_library
from totesys_cli.local.emulator import Emulator
from totesys_cli.local.emulator_access import REGION, SERVICES
from totesys_infra.deploy import bundle, images, release, service_roles
from totesys_infra.deploy.checks import check_all
from totesys_infra.deploy.clients import AwsClients
from totesys_infra.deploy.cloudformation import LARGEST_BODY, delete, describe, parameters
from totesys_infra.deploy.deployment import Deployment
from totesys_infra.deploy.destroy import destroy
from totesys_infra.deploy.failures import BuildFailed, DeployRefused, SmokeFailed, StackFailed
from totesys_infra.deploy.order import apply, leftover, require_possible_disks, show
from totesys_infra.deploy.polling import Polling
from totesys_infra.deploy.smoke import Smoke
from totesys_infra.deploy.template import StackTemplate
from totesys_infra.deploy.up import roll_back, up
from totesys_infra.policies.deployer import deployer

# Long enough for a service that runs.
PATIENT = Polling(timeout=60, interval=0.05)
# What is to fail does so at once.
IMPATIENT = Polling(timeout=0.2, interval=0.05)

SERVICES_BUILT = ("ingest", "transform", "load", "cli")

_numbers = count(1)
DEPLOYED = (*SERVICES, "sts", "ecr", "ecs", "codebuild", "logs", "secretsmanager", "iam", "sns", "ssm", "rds")


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    """An emulator of all that a deployment calls."""
    with Emulator.start(services=DEPLOYED) as running:
        yield running


@pytest.fixture(scope="module")
def aws(emulator: Emulator) -> Iterator[AwsClients]:
    """The emulator, as the deployment sees AWS."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", emulator.endpoint_url)
        made = AwsClients(REGION, boto3.Session(emulator.credentials.access_key, emulator.credentials.secret_key))
        yield made
        made.close()


@pytest.fixture
def place(aws: AwsClients) -> Place:
    """An environment of its own, of which nothing is deployed."""
    return Place(aws, f"deployed-{next(_numbers)}")


def test_a_deployment_applies_the_file_and_changes_only_differences(place: Place) -> None:
    template = place.template()
    assert all(change.action == "Add" for change in show(place.deployment, [template]))
    apply(place.deployment, template)
    stack = describe(place.deployment, template.name)
    assert stack is not None
    assert parameters(stack)["Schedule"] == "rate(7 minutes)"
    assert "(AWS::S3::Bucket) CREATE_COMPLETE" in place.text

    place.told.clear()
    apply(place.deployment, template)
    assert place.told == [f"{template.name}: no changes"]

    changes = show(place.deployment, [place.template(Schedule="rate(9 minutes)")])
    assert ("Modify", "Tick") in {(change.action, change.logical_id) for change in changes}
    assert not any(change.loses_data for change in changes)
    assert "  Modify  Tick " in place.told[-1]


def test_stored_data_is_deleted_or_replaced_only_on_request(place: Place) -> None:
    apply(place.deployment, place.template())
    other = place.template(Name=f"{place.environment.name}-x")
    with pytest.raises(DeployRefused, match=r"Modify IngestBucket\w+ \(AWS::S3::Bucket, replacement: Conditional\)"):
        apply(place.deployment, other)
    assert place.outputs()["IngestBucket"] == f"{place.environment.name}-ingest"


def test_a_size_that_rds_cannot_make_is_refused_even_if_rds_has_enlarged_the_disk(place: Place) -> None:
    require_possible_disks(place.deployment, [place.warehouse(20)])
    apply(place.deployment, place.warehouse(20))
    place.deployment.aws.rds.modify_db_instance(
        DBInstanceIdentifier=place.deployment.names.warehouse_instance, AllocatedStorage=60, ApplyImmediately=True
    )
    for possible in (20, 60, 66, 100):
        require_possible_disks(place.deployment, [place.warehouse(possible)])
    for impossible in (50, 65):
        with pytest.raises(DeployRefused, match=rf"has 60 GiB.* change it to {impossible}\..* to 60, or to 66 or more"):
            require_possible_disks(place.deployment, [place.warehouse(impossible)])


def test_a_smaller_disk_is_accepted_after_a_failed_creation(place: Place) -> None:
    failed = json.loads(place.warehouse(50).body)
    queue = {"RedrivePolicy": {"deadLetterTargetArn": "no", "maxReceiveCount": 0}}
    failed["Resources"]["Queue"] = {"Type": "AWS::SQS::Queue", "Properties": queue}
    with pytest.raises(StackFailed):
        apply(place.deployment, StackTemplate(place.warehouse(50).name, json.dumps(failed), {}))
    require_possible_disks(place.deployment, [place.warehouse(20)])


def test_a_large_template_goes_through_the_code_bucket(place: Place) -> None:
    apply(place.deployment, place.template())
    small = place.services("any")
    large = StackTemplate(
        small.name, json.dumps({**small.content, "Metadata": {"Filling": "x" * LARGEST_BODY}}), small.parameters
    )
    apply(place.deployment, large)
    assert describe(place.deployment, large.name) is not None
    stored = place.deployment.aws.s3.list_objects_v2(Bucket=place.deployment.names.bucket("code"), Prefix="templates/")
    assert stored["KeyCount"] == 1


def test_a_failed_stack_reports_the_reasons_and_can_be_deployed_again(place: Place) -> None:
    good = place.services("any")
    queue = {
        "Type": "AWS::SQS::Queue",
        "Properties": {"RedrivePolicy": {"deadLetterTargetArn": "no", "maxReceiveCount": 0}},
    }
    bad = StackTemplate(good.name, json.dumps({**good.content, "Resources": {"Queue": queue}}), good.parameters)
    with pytest.raises(StackFailed, match=r"is ROLLBACK_COMPLETE\.\n +Queue \(AWS::SQS::Queue\) CREATE_FAILED: "):
        apply(place.deployment, bad)
    apply(place.deployment, good)
    assert f"{good.name}: its creation failed earlier; deleting it first" in place.told


def test_missing_secrets_and_the_wrong_account_are_refused(place: Place) -> None:
    with pytest.raises(DeployRefused, match=r"\[source\] secret .* does not exist. Create it"):
        check_all(place.deployment)
    elsewhere = place.environment.model_copy(update={"account": "123456789012"})
    with pytest.raises(DeployRefused, match=f"for the account 123456789012, and you are signed in to {ACCOUNT}"):
        check_all(Deployment(elsewhere, place.deployment.aws, place.told.append))


def test_a_secret_under_a_customer_managed_key_needs_the_key_in_the_file(place: Place) -> None:
    aws = place.deployment.aws
    key = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/one"
    made = aws.secrets.create_secret(
        Name=f"{place.environment.name}-source", SecretString="postgresql://", KmsKeyId=key
    )

    def check(**given: str) -> None:
        source = place.environment.source.model_copy(update={"secret": made["ARN"], **given})
        found = place.environment.model_copy(update={"source": source})
        check_all(Deployment(found, aws, place.told.append))

    with pytest.raises(DeployRefused, match=f"is encrypted under the KMS key {key}. Set secret_key"):
        check()
    check(secret_key=key)


async def started(
    place: Place, emulator: Emulator, database: Callable[[], str], open_: AsyncExitStack
) -> tuple[list[Service], str]:
    """The three services on what is deployed, and the warehouse's DSN."""
    source, warehouse = await make_library(database()), database()
    plane = place.plane(emulator)
    settings = {
        "ingest": {"source_dsn": source},
        "transform": {},
        "load": {"warehouse_dsn": warehouse, "source_dsn": source},
    }
    starting = (running(stage, {**environment(stage, plane, **own), **LIBRARY}) for stage, own in settings.items())
    services = await asyncio.gather(*map(open_.enter_async_context, starting))
    return services, warehouse


async def test_the_smoke_test_passes_only_a_working_pipeline(
    place: Place, emulator: Emulator, database: Callable[[], str]
) -> None:
    await asyncio.to_thread(apply, place.deployment, place.template(ScheduleState="DISABLED"))
    async with AsyncExitStack() as open_:
        (_, _, load), warehouse = await started(place, emulator, database, open_)
        await asyncio.to_thread(Smoke(place.deployment, PATIENT).run)
        assert place.told[-1] == "smoke: the warehouse equals the source: 5 rows"

        await execute(warehouse, "UPDATE warehouse.fact_loan SET reader = 'Eve' WHERE loan_id = 2")
        with pytest.raises(SmokeFailed, match=r"The warehouse differs from the source \(fact_loan: 1 of 2 rows\)"):
            await asyncio.to_thread(Smoke(place.deployment, PATIENT).run)

        await load.stop()
        with pytest.raises(SmokeFailed, match=r"load did not load run 3 within .* s\. Its queue .*-load has") as caught:
            await asyncio.to_thread(Smoke(place.deployment, Polling(timeout=2, interval=0.05)).run)
        assert "Check that the service runs" in str(caught.value)


def test_a_build_without_images_fails(place: Place, tmp_path: Path) -> None:
    """The emulator's builds do nothing, and succeed."""
    apply(place.deployment, place.template())
    commit = make_commit(tmp_path, "one")
    place.with_images()
    place.deployment.aws.codebuild.create_project(
        name=place.deployment.names.build_project,
        source={"type": "NO_SOURCE", "buildspec": "version: 0.2"},
        artifacts={"type": "NO_ARTIFACTS"},
        environment={"type": "ARM_CONTAINER", "image": "any", "computeType": "BUILD_GENERAL1_SMALL"},
        serviceRole=f"arn:aws:iam::{ACCOUNT}:role/any",
    )
    with pytest.raises(BuildFailed, match="succeeded, but ingest, transform, load, cli has no image"):
        images.build(place.deployment, commit)


def test_images_are_built_with_docker_if_the_file_says_so(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The emulator has no registry, so a script in the place of `docker` notes what it is called with."""
    commit = make_commit(tmp_path / "source", "one")
    place.with_images()
    local = place.environment.model_copy(update={"images": "local"})
    deployment = Deployment(local, place.deployment.aws, place.told.append)
    called = tmp_path / "called"
    stand_in(tmp_path / "docker", f'echo "$@" >> {called}; [ "$1" != build ] || ls >> {called}')
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with pytest.raises(BuildFailed, match="succeeded, but ingest, transform, load, cli has no image"):
        images.build(deployment, commit)
    login, *lines = called.read_text().splitlines()
    assert login.startswith("login --username AWS --password-stdin ")
    registry = login.split()[-1]
    for service, build, listed, push in zip(SERVICES_BUILT, lines[::3], lines[1::3], lines[2::3], strict=True):
        image = f"{registry}/{place.environment.name}/{service}:{commit.revision}"
        assert build.startswith("build --platform linux/arm64 --provenance=false --file services/Dockerfile ")
        assert f"--build-arg=SERVICE={service} " in build
        assert build.endswith(f"--tag {image} .")
        # The commit's files, and no others.
        assert listed == "file"
        assert push == f"push --quiet {image}"

    stand_in(tmp_path / "docker", '[ "$1" = login ] || { echo "exec format error"; exit 1; }')
    with pytest.raises(BuildFailed, match=r"docker build ended with 1:\n +exec format error\n.*ARM64 machine"):
        images.build(deployment, commit)


def stand_in(path: Path, script: str) -> None:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def test_a_failed_smoke_test_rolls_back_with_the_template(place: Place, tmp_path: Path) -> None:
    """No service is running, so no smoke test succeeds."""
    first, second = make_commit(tmp_path, "one"), make_commit(tmp_path, "two")
    place.with_images(first.revision, second.revision)

    def deploy(commit: bundle.Commit, seconds: int) -> None:
        stacks = [place.template(commit.revision), place.services(commit.revision, seconds)]
        up(place.deployment, stacks, commit, polling=IMPATIENT)

    with pytest.raises(SmokeFailed, match="no previous release"):
        deploy(first, 61)
    with pytest.raises(SmokeFailed, match=f"Rolled back: {first.revision} is deployed"):
        deploy(second, 62)
    assert place.image_tag == first.revision
    now = release.deployed(place.deployment, [place.deployment.names.stack("services")])
    assert now is not None
    assert ":61}" in next(iter(now.stacks.values())).template
    tags = {
        tag
        for image in place.deployment.aws.ecr.describe_images(repositoryName=place.deployment.names.repository("load"))[
            "imageDetails"
        ]
        for tag in image["imageTags"]
    }
    assert tags == {f"{kind}{one.revision}" for kind in ("", "deployed-") for one in (first, second)}

    release.record(place.deployment, now)
    apply(place.deployment, place.services(second.revision, 62))
    with pytest.raises(SmokeFailed):
        roll_back(place.deployment, [*now.stacks], None, IMPATIENT)
    assert place.image_tag == first.revision


def test_the_roles_that_a_new_account_lacks_are_created_first_or_an_administrator_is_asked(
    place: Place, tmp_path: Path
) -> None:
    """IAM is the emulator's own here: no other test has used up what an account lacks."""
    with Emulator.start(services=DEPLOYED) as fresh, pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", fresh.endpoint_url)
        aws = AwsClients(REGION, boto3.Session(fresh.credentials.access_key, fresh.credentials.secret_key))
        new = Place(aws, "new-account")
        assert [*service_roles.absent(new.deployment)] == [*service_roles.LINKED]
        limited = new.environment.model_copy(update={"github_repository": "acme/totesys"})
        apply(new.deployment, StackTemplate("new-account-access", new.services("any").body, {"ImageTag": "any"}))
        with pytest.raises(DeployRefused, match=r"lacks the service-linked roles of ecs.amazonaws.com.*VERB=access"):
            check_all(Deployment(limited, aws, new.told.append))
        up(new.deployment, [new.template()], make_commit(tmp_path, "one"))
        # The emulator calls two of the roles the same, and has the first alone.
        assert [*service_roles.absent(new.deployment)] == ["ecs.application-autoscaling.amazonaws.com"]
        aws.close()


def test_the_role_of_the_workflow_allows_every_call_of_a_deployment_and_a_rollback(
    emulator: Emulator, place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The emulator enforces no policy, so what is called is noted and compared."""
    called: set[str] = set()
    session = boto3.Session(emulator.credentials.access_key, emulator.credentials.secret_key)
    session.events.register(
        "before-call.*.*", lambda model, **_: called.add(f"{model.service_model.service_id.hyphenize()}:{model.name}")
    )
    commit = make_commit(tmp_path, "one")
    place.with_images(commit.revision)
    limited = place.environment.model_copy(update={"github_repository": "acme/totesys", "images": "local"})
    deployment = Deployment(limited, AwsClients(REGION, session), place.told.append)
    stacks = [place.template(commit.revision), place.services(commit.revision)]
    with pytest.raises(DeployRefused, match=r"there is no stack .*-access"):
        check_all(deployment)
    for gib in (20, 40):
        with pytest.raises(SmokeFailed):
            up(deployment, [place.warehouse(gib), *stacks], commit, polling=IMPATIENT, accept_data_loss=True)
    now = release.deployed(deployment, [stacks[1].name])
    assert now is not None
    release.record(deployment, now)
    with pytest.raises(DeployRefused, match="nothing to roll back to"):
        roll_back(deployment, [stacks[1].name], None, IMPATIENT)
    assert list(service_roles.absent(deployment))
    given = {action for one in deployer(limited)["Deploy"] if one.allow for action in one.actions}
    assert {action for call in called if (action := ACTIONS.get(call, call))} - given == set()
    assert len(called) > 15


# Where an operation is not called as its action; None: everybody may.
ACTIONS = {
    "s3:HeadBucket": "s3:ListBucket",
    "s3:HeadObject": "s3:GetObject",
    "s3:ListObjectsV2": "s3:ListBucket",
    "secrets-manager:DescribeSecret": "secretsmanager:DescribeSecret",
    "sts:GetCallerIdentity": None,
}


def make_commit(folder: Path, content: str) -> bundle.Commit:
    folder.mkdir(exist_ok=True)
    (folder / "file").write_text(content)
    who = ("-c", "user.name=A", "-c", "user.email=a@example.com", "-c", "commit.gpgsign=false")
    for arguments in (["init", "--quiet"], ["add", "file"], [*who, "commit", "--quiet", "--message", content]):
        subprocess.run(["git", *arguments], cwd=folder, check=True)
    return bundle.commit(folder)


def test_a_bundle_has_the_same_bytes_on_every_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commit = make_commit(tmp_path, "one")
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    assert bundle.archive(commit) == bundle.archive(bundle.commit(tmp_path))
    (tmp_path / "file").write_text("not committed")
    with pytest.raises(DeployRefused, match=r"Commit or stash them:\n +M file"):
        bundle.commit(tmp_path)


def test_a_destroyed_environment_is_redeployed_with_its_data_until_the_data_is_deleted(place: Place) -> None:
    names, aws = place.deployment.names, place.deployment.aws
    stacks = [place.template(), place.services("any")]
    for template in stacks:
        apply(place.deployment, template)
    aws.s3.put_object(Bucket=names.bucket("ingest"), Key="runs/one", Body=b"1")

    assert leftover(place.deployment, stacks[:1]) == [stacks[1].name]
    destroy(place.deployment, [stack.name for stack in stacks], delete_data=False)
    assert describe(place.deployment, stacks[1].name) is None
    assert leftover(place.deployment, stacks[:1]) == []
    left = describe(place.deployment, stacks[0].name)
    assert left is not None
    assert parameters(left)["ScheduleState"] == "DISABLED"
    assert place.contents("ingest") == ["runs/one"]

    # A stack that is gone leaves its buckets, and the next one takes them over.
    delete(place.deployment, stacks[0].name)
    assert place.contents("ingest") == ["runs/one"]
    # The emulator calls every change one that may replace.
    apply(place.deployment, stacks[0], accept_data_loss=True)
    assert place.contents("ingest") == ["runs/one"]
    assert show(place.deployment, stacks[:1]) == []

    destroy(place.deployment, [stack.name for stack in stacks], delete_data=True)
    assert describe(place.deployment, stacks[0].name) is None
    for purpose in ("ingest", "processed", "code"):
        with pytest.raises(ClientError, match="404"):
            aws.s3.head_bucket(Bucket=names.bucket(purpose))
