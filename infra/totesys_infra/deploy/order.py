"""The stacks of an environment, one after the other: what each would change, and changing it."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path

from totesys_infra.deploy.adopt import adopt
from totesys_infra.deploy.change import Change, shrunk_disks, table
from totesys_infra.deploy.cloudformation import (
    delete,
    describe,
    execute,
    is_stillborn,
    prepare,
    preview,
    template_text,
)
from totesys_infra.deploy.deployment import Deployment
from totesys_infra.deploy.errors import DeployRefused, StackFailed
from totesys_infra.deploy.template import StackTemplate, stack_template, values
from totesys_infra.environment import Environment

_NOT_YET = "No export named"


def synthesise(environment: Environment, image_tag: str, folder: Path) -> list[StackTemplate]:
    """Write the templates into `folder`; the stacks in the order in which the app has them."""
    # Only here, because the CDK starts a Node.js process.
    from totesys_infra.stacks.app import build, in_order

    known = values(environment, image_tag)
    templates = in_order(build(environment, folder))
    return [stack_template(name, template, known) for name, template in templates.items()]


def show(deployment: Deployment, templates: Sequence[StackTemplate]) -> list[Change]:
    """Tell what deploying the stacks would change; all the changes. Raises StackFailed."""
    found: list[Change] = []
    for template in templates:
        try:
            changes = preview(deployment, template)
        except StackFailed as error:
            if _NOT_YET not in str(error):
                raise
            deployment.say(f"{template.name}: takes what a stack before it does not export yet; told at its turn")
            continue
        deployment.say(f"{template.name}: " + (f"\n{table(changes)}" if changes else "no changes"))
        found += changes
    return found


def require_data_kept(changes: Iterable[Change]) -> None:
    """Refuse changes that would remove or replace what holds data. Raises DeployRefused."""
    lost = [change for change in changes if change.loses_data]
    if lost:
        raise DeployRefused(
            "These hold data, and would be removed or replaced by empty ones:"
            + "".join(f"\n  {change}" for change in lost)
            + "\nIf that is meant, say --accept-data-loss."
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
    """Make a stack, or bring it up to date. Raises StackFailed, or DeployRefused if data would be lost."""
    stack = describe(deployment, template.name)
    if stack is not None and is_stillborn(stack):
        deployment.say(f"{template.name}: was never made whole; removed first")
        delete(deployment, template.name)
    adopt(deployment, template)
    plan = prepare(deployment, template)
    if plan.change_set is None:
        deployment.say(f"{template.name}: no changes")
        return
    if not accept_data_loss:
        require_data_kept(plan.changes)
    deployment.say(f"{template.name}: {len(plan.changes)} changes")
    execute(deployment, template.name, plan)
    _say_outputs(deployment, template.name)


def _say_outputs(deployment: Deployment, name: str) -> None:
    """Report the outputs that are for people; the others are for later stacks, and have no description."""
    stack = describe(deployment, name)
    for output in stack.get("Outputs", []) if stack else []:
        if "Description" in output:
            deployment.say(f"  {output['OutputKey']} = {output['OutputValue']}  ({output['Description']})")
