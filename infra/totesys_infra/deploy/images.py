"""The images of a commit: builds those that are missing, and keeps those that are deployed."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from totesys_infra.deploy import bundle, docker
from totesys_infra.deploy.bundle import Commit
from totesys_infra.deploy.clients import code
from totesys_infra.deploy.deployment import Deployment
from totesys_infra.deploy.failures import BuildFailed, DeployRefused
from totesys_infra.deploy.polling import Polling
from totesys_infra.names import DEPLOYED_PREFIX, IMAGES, Image

if TYPE_CHECKING:
    from mypy_boto3_codebuild.type_defs import BuildTypeDef

# Longer than the project's own timeout.
_BUILT = Polling(timeout=3600)
_LAST_LINES = 30


def missing(deployment: Deployment, revision: str) -> list[Image]:
    """The images of a revision that are missing."""
    return [service for service in IMAGES if not _has(deployment, service, revision)]


def build(deployment: Deployment, commit: Commit) -> None:
    """Build the images that are missing, in CodeBuild or here. Raises BuildFailed with the last lines of the build."""
    wanted = missing(deployment, commit.revision)
    if not wanted:
        deployment.report(f"images: all of {commit.revision} exist")
        return
    deployment.report(f"images: building {', '.join(wanted)} of {commit.revision}")
    if deployment.environment.images == "local":
        docker.build(deployment, commit, wanted)
    else:
        _build_in_aws(deployment, commit)
    if still := missing(deployment, commit.revision):
        raise BuildFailed(
            f"The build succeeded, but {', '.join(still)} has no image {commit.revision}. "
            f"See {deployment.names.build_log_group}."
        )


def _build_in_aws(deployment: Deployment, commit: Commit) -> None:
    bundle.upload(deployment, commit)
    try:
        started = deployment.aws.codebuild.start_build(
            projectName=deployment.names.build_project,
            environmentVariablesOverride=[
                {"name": "REVISION", "value": commit.revision, "type": "PLAINTEXT"},
                {"name": "VERSION", "value": commit.version, "type": "PLAINTEXT"},
            ],
        )["build"]
    except ClientError as error:
        if code(error) != "AccountLimitExceededException":
            raise
        raise BuildFailed(no_builds(str(error))) from error
    ended = _watched(deployment, started["id"])
    if ended is None or ended["buildStatus"] != "SUCCEEDED":
        status = "unfinished after an hour" if ended is None else ended["buildStatus"]
        raise BuildFailed(f"The build {started['id']} is {status}.{_last_lines(deployment, ended)}")


def no_builds(answer: str) -> str:
    """The message for an account whose CodeBuild quota is 0, with AWS's `answer`. Pure."""
    return (
        f"CodeBuild accepts no build in this account: {answer}. New accounts often have a quota of 0. "
        'Set images = "local" to build the images with Docker on this machine, or run the workflow deploy with that '
        "setting on ubuntu-24.04-arm, or ask AWS for the quota: Service Quotas, AWS CodeBuild, concurrently running "
        "builds for ARM/Small."
    )


def protect(deployment: Deployment, revision: str) -> None:
    """Tag a revision's images as deployed, so that the lifecycle rules keep them.

    Raises DeployRefused if one is missing.
    """
    for service in IMAGES:
        repository = deployment.names.repository(service)
        images = deployment.aws.ecr.batch_get_image(repositoryName=repository, imageIds=[{"imageTag": revision}])
        if not images["images"]:
            raise DeployRefused(f"{repository} has no image {revision}. Build it first.")
        image = images["images"][0]
        try:
            deployment.aws.ecr.put_image(
                repositoryName=repository,
                imageManifest=image["imageManifest"],
                imageTag=DEPLOYED_PREFIX + revision,
                # It distinguishes an index from a manifest, which is the default.
                **({"imageManifestMediaType": media} if (media := image.get("imageManifestMediaType")) else {}),
            )
        except ClientError as error:
            # It was deployed before, and tags are immutable.
            if code(error) not in ("ImageAlreadyExistsException", "ImageTagAlreadyExistsException"):
                raise


def _has(deployment: Deployment, service: Image, revision: str) -> bool:
    repository = deployment.names.repository(service)
    try:
        found = deployment.aws.ecr.describe_images(repositoryName=repository, imageIds=[{"imageTag": revision}])
    except ClientError as error:
        if code(error) in ("ImageNotFoundException", "RepositoryNotFoundException"):
            return False
        raise
    return bool(found["imageDetails"])


def _watched(deployment: Deployment, build_id: str) -> "BuildTypeDef | None":
    """The build, when it has ended; reports each phase."""
    reported = 0

    def ended() -> "BuildTypeDef | None":
        nonlocal reported
        build = deployment.aws.codebuild.batch_get_builds(ids=[build_id])["builds"][0]
        done = [phase for phase in build.get("phases", []) if "phaseStatus" in phase]
        for phase in done[reported:]:
            seconds = phase.get("durationInSeconds", 0)
            deployment.report(f"  {phase.get('phaseType', '?')} {phase['phaseStatus']}, {seconds} s")
        reported = len(done)
        return None if build["buildStatus"] == "IN_PROGRESS" else build

    return _BUILT.until(ended)


def _last_lines(deployment: Deployment, build: "BuildTypeDef | None") -> str:
    logs = {} if build is None else build.get("logs", {})
    if "groupName" not in logs or "streamName" not in logs:
        return f" See {deployment.names.build_log_group}."
    try:
        lines = _log_lines(deployment, logs["groupName"], logs["streamName"])
    except ClientError as error:
        return f" Its log cannot be read: {error}"
    return f" The end of its log, {logs['groupName']}:" + "".join(f"\n  {line.rstrip()}" for line in lines)


def _log_lines(deployment: Deployment, group: str, stream: str) -> Sequence[str]:
    answered = deployment.aws.logs.get_log_events(
        logGroupName=group, logStreamName=stream, limit=_LAST_LINES, startFromHead=False
    )
    return [event.get("message", "") for event in answered["events"]]
