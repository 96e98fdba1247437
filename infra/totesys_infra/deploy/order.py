"""Previews and updates the stacks of an environment, one after the other."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path

from botocore.exceptions import ClientError

from totesys_infra.deploy.adopt import adopt
from totesys_infra.deploy.change import Change, changed_disks, least_larger, table
from totesys_infra.deploy.clients import code
from totesys_infra.deploy.cloudformation import (
    delete,
    describe,
    execute,
    is_failed_creation,
    prepare,
    preview,
    template_text,
)
from totesys_infra.deploy.deployment import Deployment
from totesys_infra.deploy.failures import DeployRefused, StackFailed
from totesys_infra.deploy.template import StackTemplate, stack_template, values
from totesys_infra.environment import Environment
from totesys_infra.names import STACKS

_NOT_YET = "No export named"


def synthesise(environment: Environment, image_tag: str, folder: Path) -> list[StackTemplate]:
    """Write the templates into `folder`; the stacks in the order of deployment."""
    # Imported here because the CDK starts a Node.js process.
    from totesys_infra.stacks.cdk_app import build, in_order

    known = values(environment, image_tag)
    templates = in_order(build(environment, folder))
    return [stack_template(name, template, known) for name, template in templates.items()]


def show(deployment: Deployment, templates: Sequence[StackTemplate]) -> list[Change]:
    """Report and return the changes of deploying the stacks. Raises StackFailed."""
    found: list[Change] = []
    for template in templates:
        try:
            changes = preview(deployment, template)
        except StackFailed as error:
            if _NOT_YET not in str(error):
                raise
            deployment.report(f"{template.name}: depends on a stack that is not deployed yet; its changes are unknown")
            continue
        deployment.report(f"{template.name}: " + (f"\n{table(changes)}" if changes else "no changes"))
        found += changes
    return found


def leftover(deployment: Deployment, templates: Iterable[StackTemplate]) -> list[str]:
    """The deployed stacks that the environment no longer has, such as the warehouse's once a secret names another."""
    present = {template.name for template in templates}
    others = [name for name in map(deployment.names.stack, STACKS) if name not in present]
    return [name for name in others if describe(deployment, name) is not None]


def require_data_kept(changes: Iterable[Change]) -> None:
    """Refuse changes that would delete or replace stored data. Raises DeployRefused."""
    lost = [change for change in changes if change.loses_data]
    if lost:
        raise DeployRefused(
            "These changes would delete or replace stored data:"
            + "".join(f"\n  {change}" for change in lost)
            + "\nThey are refused unless you pass --accept-data-loss."
        )


def require_possible_disks(deployment: Deployment, templates: Iterable[StackTemplate]) -> None:
    """Refuse a new size of the disk that RDS cannot make. Raises DeployRefused."""
    for template in templates:
        stack = describe(deployment, template.name) if template.has_database else None
        if stack is None or is_failed_creation(stack):
            continue
        deployed = json.loads(template_text(deployment, template.name))
        for wanted in changed_disks(deployed, template.content).values():
            present = _present_disk(deployment)
            if wanted != present and wanted < (larger := least_larger(present)):
                raise DeployRefused(
                    f"The warehouse's disk has {present} GiB, and RDS cannot change it to {wanted}. Set storage_gib "
                    f"under [warehouse] to {present}, or to {larger} or more."
                )


def _present_disk(deployment: Deployment) -> int:
    """The GiB of the warehouse's disk, which RDS may have enlarged since its template set it; 0 without a warehouse."""
    try:
        found = deployment.aws.rds.describe_db_instances(DBInstanceIdentifier=deployment.names.warehouse_instance)
    except ClientError as error:
        if code(error) != "DBInstanceNotFound":
            raise
        return 0
    return found["DBInstances"][0]["AllocatedStorage"]


def apply(deployment: Deployment, template: StackTemplate, *, accept_data_loss: bool = False) -> None:
    """Create or update a stack. Raises StackFailed, or DeployRefused if data would be lost."""
    stack = describe(deployment, template.name)
    if stack is not None and is_failed_creation(stack):
        deployment.report(f"{template.name}: its creation failed earlier; deleting it first")
        delete(deployment, template.name)
    adopt(deployment, template)
    plan = prepare(deployment, template)
    if plan.change_set is None:
        deployment.report(f"{template.name}: no changes")
        return
    if not accept_data_loss:
        require_data_kept(plan.changes)
    deployment.report(f"{template.name}: {len(plan.changes)} changes")
    execute(deployment, template.name, plan)
    _say_outputs(deployment, template.name)


def _say_outputs(deployment: Deployment, name: str) -> None:
    """Report the outputs that are for people; the others are for later stacks, and have no description."""
    stack = describe(deployment, name)
    for output in stack.get("Outputs", []) if stack else []:
        if "Description" in output:
            deployment.report(f"  {output['OutputKey']} = {output['OutputValue']}  ({output['Description']})")
