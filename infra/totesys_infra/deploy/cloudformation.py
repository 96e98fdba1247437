"""CloudFormation stacks: preview, update and delete them, and report each event as it arrives."""

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
from totesys_infra.deploy.failures import StackFailed
from totesys_infra.deploy.polling import Polling
from totesys_infra.deploy.stack_events import StackEvents
from totesys_infra.deploy.template import StackTemplate

if TYPE_CHECKING:
    from mypy_boto3_cloudformation.type_defs import (
        ChangeTypeDef,
        CreateChangeSetInputTypeDef,
        DescribeChangeSetOutputTypeDef,
        StackTypeDef,
    )

# The largest template in a request; a larger one has to be in a bucket.
LARGEST_BODY = 51_200
_NO_CHANGES = ("didn't contain changes", "No updates are to be performed")
_PLANNED = Polling(timeout=600, interval=2)
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
# RDS with a standby takes longest.
_MADE = Polling(timeout=2 * 3600)


@dataclass(frozen=True)
class Plan:
    """The changes of a change set. Without a change set there are none."""

    changes: tuple[Change, ...]
    change_set: str | None


def describe(deployment: Deployment, name: str) -> "StackTypeDef | None":
    """The stack; None if it does not exist, or has only a change set that was not executed."""
    try:
        stack = deployment.aws.cloudformation.describe_stacks(StackName=name)["Stacks"][0]
    except ClientError as error:
        if "does not exist" in str(error):
            return None
        raise
    return None if stack["StackStatus"] in ("REVIEW_IN_PROGRESS", "DELETE_COMPLETE") else stack


def is_failed_creation(stack: "StackTypeDef") -> bool:
    """Whether its creation failed: CloudFormation then only lets it be deleted."""
    return stack["StackStatus"] in ("ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "CREATE_FAILED")


def parameters(stack: "StackTypeDef") -> dict[str, str]:
    """The parameters of a stack."""
    return {given["ParameterKey"]: given["ParameterValue"] for given in stack.get("Parameters", [])}


def template_text(deployment: Deployment, name: str) -> str:
    """The template of a stack, as JSON."""
    response = deployment.aws.cloudformation.get_template(StackName=name, TemplateStage="Original")["TemplateBody"]
    # boto3 parses JSON.
    return response if isinstance(response, str) else json.dumps(response, separators=(",", ":"))


def preview(deployment: Deployment, template: StackTemplate) -> tuple[Change, ...]:
    """The changes of deploying a stack; leaves nothing behind. Raises StackFailed."""
    stack = describe(deployment, template.name)
    if stack is None or is_failed_creation(stack):
        return changes_of_new(template.content)
    plan = prepare(deployment, template)
    if plan.change_set is not None:
        deployment.aws.cloudformation.delete_change_set(StackName=template.name, ChangeSetName=plan.change_set)
    return plan.changes


def prepare(deployment: Deployment, template: StackTemplate) -> Plan:
    """Create a change set. Raises StackFailed if CloudFormation refuses the template."""
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
        raise StackFailed(f"CloudFormation refused the stack {template.name}: {error}") from error
    return planned(deployment, template.name, change_set)


def execute(deployment: Deployment, name: str, plan: Plan) -> None:
    """Execute a change set and report its events. Raises StackFailed with the reasons, after a rollback."""
    if plan.change_set is None:
        return
    events = StackEvents(deployment, name)
    deployment.aws.cloudformation.execute_change_set(StackName=name, ChangeSetName=plan.change_set)
    status = _MADE.until(lambda: events.ended())
    if status is None or "ROLLBACK" in status or "FAILED" in status:
        raise StackFailed(
            f"The stack {name} is {status or 'unfinished after two hours'}.{events.reasons()}"
            f"{advice(events.reasons())} CloudFormation restored the previous state. Fix the cause and deploy again."
        )


def advice(reasons: str) -> str:
    """Advice for failures that AWS does not explain. Pure."""
    known = (text for pattern, text in _ADVICE if re.search(pattern, reasons, re.IGNORECASE))
    return "".join(f" {text}" for text in known)


def delete(deployment: Deployment, name: str) -> None:
    """Delete a stack, if it exists, and report its events. Raises StackFailed with the reasons."""
    stack = describe(deployment, name)
    if stack is None:
        return
    # Only the id still finds a deleted stack.
    events = StackEvents(deployment, stack["StackId"])
    deployment.aws.cloudformation.delete_stack(StackName=stack["StackId"])
    status = _MADE.until(lambda: events.ended())
    if status != "DELETE_COMPLETE":
        raise StackFailed(f"The stack {name} could not be deleted: it is {status}.{events.reasons()}")


def set_parameter(deployment: Deployment, name: str, changed: Mapping[str, str]) -> None:
    """Change parameters of an existing stack with its present template. Raises StackFailed."""
    stack = describe(deployment, name)
    if stack is None:
        return
    given = {**parameters(stack), **changed}
    template = StackTemplate(name, template_text(deployment, name), given)
    execute(deployment, name, prepare(deployment, template))


def planned(deployment: Deployment, name: str, change_set: str) -> Plan:
    """The changes of a change set, once CloudFormation has computed it. Raises StackFailed."""
    cloudformation = deployment.aws.cloudformation

    def ready() -> "DescribeChangeSetOutputTypeDef | None":
        response = cloudformation.describe_change_set(StackName=name, ChangeSetName=change_set)
        return response if response["Status"] in ("CREATE_COMPLETE", "FAILED") else None

    response = _PLANNED.until(ready)
    if response is not None and response["Status"] == "CREATE_COMPLETE":
        return Plan(changes_of(_all_changes(deployment, response, name, change_set)), change_set)
    cloudformation.delete_change_set(StackName=name, ChangeSetName=change_set)
    reason = "it took longer than ten minutes" if response is None else response.get("StatusReason", "no reason given")
    if any(text in reason for text in _NO_CHANGES):
        return Plan((), None)
    raise StackFailed(f"CloudFormation cannot compute the changes of the stack {name}: {reason}")


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
