"""A whole deployment of a commit, from its checks to its release."""

from collections.abc import Sequence

from totesys_infra.deploy import images, release
from totesys_infra.deploy.bundle import Commit
from totesys_infra.deploy.deployment import Deployment
from totesys_infra.deploy.errors import DeployRefused, SmokeFailed
from totesys_infra.deploy.order import apply, require_data_kept, require_disks_kept, show
from totesys_infra.deploy.patience import Patience
from totesys_infra.deploy.release import Release
from totesys_infra.deploy.service_roles import create_absent
from totesys_infra.deploy.smoke import PATIENCE, Smoke
from totesys_infra.deploy.template import StackTemplate

_PENDING = "PendingConfirmation"


def up(
    deployment: Deployment,
    templates: Sequence[StackTemplate],
    commit: Commit,
    *,
    accept_data_loss: bool = False,
    patience: Patience = PATIENCE,
) -> None:
    """Deploy the stacks in their order, the images before the first that runs them; test it, and keep it as a release.

    What fails the smoke test is undone: the stacks that run images go back to what they were. Raises DeployRefused,
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
            _make_images(deployment, commit)
            built = True
        apply(deployment, template, accept_data_loss=accept_data_loss)
    report_subscription(deployment)
    if running:
        _test(deployment, running, before, patience)


def roll_back(
    deployment: Deployment, running: Sequence[str], wanted: str | None, patience: Patience = PATIENCE
) -> None:
    """Deploy an earlier release again, and test it. Raises DeployRefused, StackFailed or SmokeFailed."""
    now = release.deployed(deployment, running)
    target = release.choose(release.recorded(deployment), now.revision if now else None, wanted)
    release.restore(deployment, target)
    Smoke(deployment, patience).run()
    deployment.say(f"{target.revision} is deployed again")


def report_subscription(deployment: Deployment) -> None:
    """Say so if nobody gets the alerts, because the address has not confirmed its subscription."""
    topic, address = deployment.names.alerts_arn, deployment.environment.alert_email
    pages = deployment.aws.sns.get_paginator("list_subscriptions_by_topic").paginate(TopicArn=topic)
    confirmed = {
        found["Endpoint"] for page in pages for found in page["Subscriptions"] if found["SubscriptionArn"] != _PENDING
    }
    if address not in confirmed:
        deployment.say(
            f"alerts: {address} has not confirmed its subscription, so no alarm reaches anybody. "
            "Follow the link in the e-mail from AWS Notifications."
        )


def _make_images(deployment: Deployment, commit: Commit) -> None:
    images.build(deployment, commit)
    images.protect(deployment, commit.revision)


def _test(deployment: Deployment, running: Sequence[str], before: Release | None, patience: Patience) -> None:
    try:
        Smoke(deployment, patience).run()
    except SmokeFailed as error:
        raise SmokeFailed(f"{error}\n{_undo(deployment, before)}") from error
    now = release.deployed(deployment, running)
    if now is not None:
        release.record(deployment, now)
        deployment.say(f"{now.revision} is deployed")


def _undo(deployment: Deployment, before: Release | None) -> str:
    """Go back to what was there before; a sentence that says so."""
    if before is None:
        return "Nothing was deployed before, so it is left as it is: mend the cause, and deploy again."
    try:
        release.restore(deployment, before)
    except DeployRefused as error:
        return f"It could not be rolled back to {before.revision}: {error}"
    return f"It was rolled back: {before.revision} is deployed, as before."
