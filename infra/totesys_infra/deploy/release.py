"""Releases: deployments that passed their smoke test, recorded in the code bucket for a rollback."""

import secrets
from collections.abc import Iterable
from datetime import UTC, datetime

from pydantic import AwareDatetime, BaseModel, ConfigDict

from totesys_infra.deploy.cloudformation import (
    describe,
    execute,
    is_failed_creation,
    parameters,
    prepare,
    template_text,
)
from totesys_infra.deploy.deployment import Deployment
from totesys_infra.deploy.failures import DeployRefused
from totesys_infra.deploy.images import missing
from totesys_infra.deploy.template import IMAGE_TAG, StackTemplate

PREFIX = "releases/"


class DeployedStack(BaseModel):
    """A deployed stack."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    template: str
    parameters: dict[str, str]


class Release(BaseModel):
    """The stacks that run images, as they were deployed together."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    revision: str
    released_at: AwareDatetime
    stacks: dict[str, DeployedStack]


def deployed(deployment: Deployment, names: Iterable[str]) -> Release | None:
    """The present deployment of the stacks that run images; None if there is none."""
    described = {name: describe(deployment, name) for name in names}
    found = {name: stack for name, stack in described.items() if stack is not None and not is_failed_creation(stack)}
    stacks = {
        name: DeployedStack(template=template_text(deployment, name), parameters=parameters(stack))
        for name, stack in found.items()
    }
    tags = {given for stack in stacks.values() if (given := stack.parameters.get(IMAGE_TAG))}
    return Release(revision=tags.pop(), released_at=datetime.now(UTC), stacks=stacks) if len(tags) == 1 else None


def record(deployment: Deployment, release: Release) -> None:
    """Record a release that passed its smoke test."""
    key = f"{PREFIX}{release.released_at:%Y%m%dT%H%M%SZ}-{secrets.token_hex(2)}.json"
    body = release.model_dump_json(indent=2).encode()
    deployment.aws.s3.put_object(Bucket=deployment.names.bucket("code"), Key=key, Body=body)


def recorded(deployment: Deployment) -> list[Release]:
    """All recorded releases, oldest first."""
    bucket, s3 = deployment.names.bucket("code"), deployment.aws.s3
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=PREFIX)
    found = [entry["Key"] for page in pages for entry in page.get("Contents", [])]
    bodies = (s3.get_object(Bucket=bucket, Key=key)["Body"].read() for key in found)
    return [Release.model_validate_json(body) for body in bodies]


def choose(releases: list[Release], now: str | None, wanted: str | None) -> Release:
    """The release to return to: the `wanted` revision (or a prefix of it), or the one before `now`.

    Pure. Raises DeployRefused if there is none.
    """
    if wanted is not None:
        fitting = [release for release in releases if release.revision.startswith(wanted)]
        known = ", ".join(dict.fromkeys(release.revision[:12] for release in releases)) or "none"
        if not fitting:
            raise DeployRefused(f"No release {wanted} was recorded. The releases are: {known}.")
        return fitting[-1]
    last = max((index for index, release in enumerate(releases) if release.revision == now), default=len(releases))
    earlier = [release for release in releases[:last] if release.revision != now]
    if not earlier:
        raise DeployRefused(f"No release before {now or 'this one'} was recorded, so there is nothing to roll back to.")
    return earlier[-1]


def restore(deployment: Deployment, release: Release) -> None:
    """Deploy a release again, with its templates. Raises DeployRefused if an image is missing, or StackFailed."""
    if gone := missing(deployment, release.revision):
        raise DeployRefused(
            f"The image {release.revision} of {', '.join(gone)} has expired. Deploy that commit instead: "
            f"git switch --detach {release.revision}, then make deploy."
        )
    for name, stack in release.stacks.items():
        deployment.report(f"{name}: returning to {release.revision}")
        template = StackTemplate(name, stack.template, stack.parameters)
        execute(deployment, name, prepare(deployment, template))
