"""Deploys a commit, from its stacks to its release, and rolls back."""

from collections.abc import Sequence

from totesys_infra.deploy import images, release
from totesys_infra.deploy.bundle import Commit
from totesys_infra.deploy.deployment import Deployment
from totesys_infra.deploy.failures import DeployRefused, SmokeFailed
from totesys_infra.deploy.order import apply, require_data_kept, require_disks_kept, show
from totesys_infra.deploy.polling import Polling
from totesys_infra.deploy.release import Release
from totesys_infra.deploy.service_roles import create_absent
from totesys_infra.deploy.smoke import POLLING, Smoke
from totesys_infra.deploy.template import StackTemplate

_PENDING = "PendingConfirmation"


def up(
    deployment: Deployment,
    templates: Sequence[StackTemplate],
    commit: Commit,
    *,
    accept_data_loss: bool = False,
    polling: Polling = POLLING,
) -> None:
    """Deploy the stacks in order, with the images before the first that runs them; test, and record the release.

    If the smoke test fails, the stacks that run images return to their previous state. Raises DeployRefused,
    StackFailed, BuildFailed or SmokeFailed.
    """
    if deployment.execution_role is None:
        create_absent(deployment)
    require_disks_kept(deployment, templates)
    if not accept_data_loss:
        require_data_kept(show(deployment, templates))
    running = [template.name for template in templates if template.takes_images]
    before = release.deployed(deployment, running)
    built = False
    for template in templates:
        if template.takes_images and not built:
            _build_images(deployment, commit)
            built = True
        apply(deployment, template, accept_data_loss=accept_data_loss)
    report_subscription(deployment)
    if running:
        _test(deployment, running, before, polling)


def roll_back(deployment: Deployment, running: Sequence[str], wanted: str | None, polling: Polling = POLLING) -> None:
    """Deploy an earlier release again and test it. Raises DeployRefused, StackFailed or SmokeFailed."""
    now = release.deployed(deployment, running)
    target = release.choose(release.recorded(deployment), now.revision if now else None, wanted)
    release.restore(deployment, target)
    Smoke(deployment, polling).run()
    deployment.report(f"{target.revision} is deployed again")


def report_subscription(deployment: Deployment) -> None:
    """Warn if the alert address has not confirmed its subscription."""
    topic, address = deployment.names.alerts_arn, deployment.environment.alert_email
    pages = deployment.aws.sns.get_paginator("list_subscriptions_by_topic").paginate(TopicArn=topic)
    confirmed = {
        found["Endpoint"] for page in pages for found in page["Subscriptions"] if found["SubscriptionArn"] != _PENDING
    }
    if address not in confirmed:
        deployment.report(
            f"alerts: {address} has not confirmed its subscription, so no alarm reaches anybody. "
            "Follow the link in the e-mail from AWS Notifications."
        )


def _build_images(deployment: Deployment, commit: Commit) -> None:
    images.build(deployment, commit)
    images.protect(deployment, commit.revision)


def _test(deployment: Deployment, running: Sequence[str], before: Release | None, polling: Polling) -> None:
    try:
        Smoke(deployment, polling).run()
    except SmokeFailed as error:
        raise SmokeFailed(f"{error}\n{_roll_back(deployment, before)}") from error
    now = release.deployed(deployment, running)
    if now is not None:
        release.record(deployment, now)
        deployment.report(f"{now.revision} is deployed")


def _roll_back(deployment: Deployment, before: Release | None) -> str:
    """Roll back; a sentence with the outcome."""
    if before is None:
        return "There is no previous release to roll back to. Fix the cause and deploy again."
    try:
        release.restore(deployment, before)
    except DeployRefused as error:
        return f"The rollback to {before.revision} failed: {error}"
    return f"Rolled back: {before.revision} is deployed again."
