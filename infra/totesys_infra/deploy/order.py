"""Previews and updates the stacks of an environment, one after the other."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path

from totesys_infra.deploy.adopt import adopt
from totesys_infra.deploy.change import Change, shrunk_disks, table
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


def require_data_kept(changes: Iterable[Change]) -> None:
    """Refuse changes that would delete or replace stored data. Raises DeployRefused."""
    lost = [change for change in changes if change.loses_data]
    if lost:
        raise DeployRefused(
            "These changes would delete or replace stored data:"
            + "".join(f"\n  {change}" for change in lost)
            + "\nThey are refused unless you pass --accept-data-loss."
        )


def require_disks_kept(deployment: Deployment, templates: Iterable[StackTemplate]) -> None:
    """Refuse a smaller disk of a database, which RDS cannot make. Raises DeployRefused."""
    for template in templates:
        if not template.has_database or describe(deployment, template.name) is None:
            continue
        deployed = json.loads(template_text(deployment, template.name))
        for before, after in shrunk_disks(deployed, template.content).values():
            raise DeployRefused(
                f"The warehouse's disk has {before} GiB, and RDS cannot shrink it to {after}. "
                f"Set storage_gib = {before} under [warehouse]."
            )


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
