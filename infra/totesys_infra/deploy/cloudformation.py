"""Stacks in CloudFormation: what would change, changing it, and removing it, with each event told as it comes."""

import hashlib
import json
import re
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from totesys_infra.deploy.change import Change, changes_of, changes_of_new
from totesys_infra.deploy.deployment import Deployment
from totesys_infra.deploy.errors import StackFailed
from totesys_infra.deploy.events import Events
from totesys_infra.deploy.patience import Patience
from totesys_infra.deploy.template import StackTemplate

if TYPE_CHECKING:
    from mypy_boto3_cloudformation.type_defs import (
        ChangeTypeDef,
        CreateChangeSetInputTypeDef,
        DescribeChangeSetOutputTypeDef,
        StackTypeDef,
    )

# What CloudFormation takes within a request; a larger template has to lie in a bucket.
LARGEST_BODY = 51_200
_NO_CHANGES = ("didn't contain changes", "No updates are to be performed")
_PLANNED = Patience(longest=600, between=2)
_ADVICE = (
    (
        "free.?tier|free.?plan",
        (
            "The account is on AWS's Free plan, which limits RDS to its smallest classes, one zone and one day of "
            'backups. Use sizing = "lean" without storage_gib, bring a warehouse (secret under [warehouse]), or '
            "upgrade the account to the Paid plan."
        ),
    ),
    (
        "service.linked role",
        "IAM may not know a new role everywhere for a minute: deploy again.",
    ),
)
# RDS with two zones takes the longest.
_MADE = Patience(longest=2 * 3600)


@dataclass(frozen=True)
class Plan:
    """What a change set would do. Without a change set there is nothing to do."""

    changes: tuple[Change, ...]
    change_set: str | None


def describe(deployment: Deployment, name: str) -> "StackTypeDef | None":
    """The stack; None if it is not there, or has nothing but a change set that nobody executed."""
    try:
        stack = deployment.aws.cloudformation.describe_stacks(StackName=name)["Stacks"][0]
    except ClientError as error:
        if "does not exist" in str(error):
            return None
        raise
    return None if stack["StackStatus"] in ("REVIEW_IN_PROGRESS", "DELETE_COMPLETE") else stack


def is_stillborn(stack: "StackTypeDef") -> bool:
    """Whether it was never made whole: CloudFormation lets it be removed, and nothing else."""
    return stack["StackStatus"] in ("ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "CREATE_FAILED")


def parameters(stack: "StackTypeDef") -> dict[str, str]:
    """A stack's parameters, as they were given."""
    return {given["ParameterKey"]: given["ParameterValue"] for given in stack.get("Parameters", [])}


def template_text(deployment: Deployment, name: str) -> str:
    """The template that a stack was made from, as JSON text."""
    answered = deployment.aws.cloudformation.get_template(StackName=name, TemplateStage="Original")["TemplateBody"]
    # boto3 parses JSON for its caller.
    return answered if isinstance(answered, str) else json.dumps(answered, separators=(",", ":"))


def preview(deployment: Deployment, template: StackTemplate) -> tuple[Change, ...]:
    """What deploying a stack would change; nothing is left of asking. Raises StackFailed."""
    stack = describe(deployment, template.name)
    if stack is None or is_stillborn(stack):
        return changes_of_new(template.content)
    plan = prepare(deployment, template)
    if plan.change_set is not None:
        deployment.aws.cloudformation.delete_change_set(StackName=template.name, ChangeSetName=plan.change_set)
    return plan.changes


def prepare(deployment: Deployment, template: StackTemplate) -> Plan:
    """Have CloudFormation work out a change set. Raises StackFailed if it refuses the template."""
    cloudformation = deployment.aws.cloudformation
    stack = describe(deployment, template.name)
    request: CreateChangeSetInputTypeDef = {
        "StackName": template.name,
        "ChangeSetName": f"deploy-{secrets.token_hex(6)}",
        "ChangeSetType": "CREATE" if stack is None else "UPDATE",
        "Parameters": [{"ParameterKey": key, "ParameterValue": text} for key, text in template.parameters.items()],
        "Capabilities": ["CAPABILITY_NAMED_IAM"],
    }
    if len(template.body.encode()) > LARGEST_BODY:
        request["TemplateURL"] = _in_code_bucket(deployment, template)
    else:
        request["TemplateBody"] = template.body
    if deployment.execution_role is not None:
        request["RoleARN"] = deployment.execution_role
    try:
        change_set = cloudformation.create_change_set(**request)["Id"]
    except ClientError as error:
        raise StackFailed(f"CloudFormation refuses the stack {template.name}: {error}") from error
    return planned(deployment, template.name, change_set)


def execute(deployment: Deployment, name: str, plan: Plan) -> None:
    """Make the changes, and tell each event. Raises StackFailed with the reasons; CloudFormation undoes it then."""
    if plan.change_set is None:
        return
    events = Events(deployment, name)
    deployment.aws.cloudformation.execute_change_set(StackName=name, ChangeSetName=plan.change_set)
    status = _MADE.until(lambda: events.ended())
    if status is None or "ROLLBACK" in status or "FAILED" in status:
        raise StackFailed(
            f"The stack {name} is {status or 'not done after two hours'}.{events.reasons()}{advice(events.reasons())} "
            "Mend the cause, and deploy again: what was there before is there again."
        )


def advice(reasons: str) -> str:
    """What to do about reasons that AWS does not explain. Pure."""
    known = (text for pattern, text in _ADVICE if re.search(pattern, reasons, re.IGNORECASE))
    return "".join(f" {text}" for text in known)


def delete(deployment: Deployment, name: str) -> None:
    """Remove a stack, if it is there, and tell each event. Raises StackFailed with the reasons."""
    stack = describe(deployment, name)
    if stack is None:
        return
    # A name can come again: only the id tells of a stack that is gone.
    events = Events(deployment, stack["StackId"])
    deployment.aws.cloudformation.delete_stack(StackName=stack["StackId"])
    status = _MADE.until(lambda: events.ended())
    if status != "DELETE_COMPLETE":
        raise StackFailed(f"The stack {name} could not be removed: it is {status}.{events.reasons()}")


def set_parameter(deployment: Deployment, name: str, changed: Mapping[str, str]) -> None:
    """Change parameters of a stack that is there, and leave its template. Raises StackFailed."""
    stack = describe(deployment, name)
    if stack is None:
        return
    given = {**parameters(stack), **changed}
    template = StackTemplate(name, template_text(deployment, name), given)
    execute(deployment, name, prepare(deployment, template))


def planned(deployment: Deployment, name: str, change_set: str) -> Plan:
    """What a change set would do, once it is worked out. Raises StackFailed."""
    cloudformation = deployment.aws.cloudformation

    def ready() -> "DescribeChangeSetOutputTypeDef | None":
        answered = cloudformation.describe_change_set(StackName=name, ChangeSetName=change_set)
        return answered if answered["Status"] in ("CREATE_COMPLETE", "FAILED") else None

    answered = _PLANNED.until(ready)
    if answered is not None and answered["Status"] == "CREATE_COMPLETE":
        return Plan(changes_of(_all_changes(deployment, answered, name, change_set)), change_set)
    cloudformation.delete_change_set(StackName=name, ChangeSetName=change_set)
    reason = "it took longer than ten minutes" if answered is None else answered.get("StatusReason", "no reason given")
    if any(text in reason for text in _NO_CHANGES):
        return Plan((), None)
    raise StackFailed(f"CloudFormation cannot work out the changes of the stack {name}: {reason}")


def _all_changes(
    deployment: Deployment, first: "DescribeChangeSetOutputTypeDef", name: str, change_set: str
) -> Iterator["ChangeTypeDef"]:
    page = first
    yield from page["Changes"]
    while token := page.get("NextToken"):
        page = deployment.aws.cloudformation.describe_change_set(
            StackName=name, ChangeSetName=change_set, NextToken=token
        )
        yield from page["Changes"]


def _in_code_bucket(deployment: Deployment, template: StackTemplate) -> str:
    bucket, body = deployment.names.bucket("code"), template.body.encode()
    key = f"templates/{template.name}/{hashlib.sha256(body).hexdigest()}.json"
    deployment.aws.s3.put_object(Bucket=bucket, Key=key, Body=body, ContentType="application/json")
    return f"{deployment.aws.s3.meta.endpoint_url}/{bucket}/{key}"
