"""What CloudFormation says while it works on a stack."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from totesys_infra.deploy.deployment import Deployment

if TYPE_CHECKING:
    from mypy_boto3_cloudformation.type_defs import StackEventTypeDef

# Of what is given up because something else failed: no reason.
_CANCELLED = ("cancelled", "Cancelled")


class Events:
    """The events of one stack from now on; each is told once."""

    def __init__(self, deployment: Deployment, stack: str) -> None:
        self._deployment = deployment
        self._stack = stack
        # What happened before is no news.
        self._seen = {event["EventId"] for event in self._newest_first()}
        self._status: str | None = None
        self._failures: list[str] = []

    def ended(self) -> str | None:
        """Tell what is new; the status that the stack has come to rest in, None if it is still being worked on.

        It is the one of an event: what the stack itself says can for a moment be what it was before.
        """
        for event in reversed(list(self._new())):
            self._tell(event)
        return self._status

    def reasons(self) -> str:
        """What failed, in the order in which it did, a line each."""
        return "".join(f"\n  {failure}" for failure in self._failures) + ("\n" if self._failures else "")

    def _tell(self, event: "StackEventTypeDef") -> None:
        status, reason = event.get("ResourceStatus", "?"), event.get("ResourceStatusReason", "")
        line = f"{event.get('LogicalResourceId', '?')} ({event.get('ResourceType', '?')}) {status}"
        told = f"{line}: {reason}" if reason else line
        self._deployment.say(f"  {event['Timestamp']:%H:%M:%S} {told}")
        if status.endswith("_FAILED") and not any(word in reason for word in _CANCELLED):
            self._failures.append(told)
        if event.get("PhysicalResourceId") == event["StackId"]:
            self._status = None if status.endswith("_IN_PROGRESS") else status

    def _new(self) -> "Iterator[StackEventTypeDef]":
        # What has been seen ends it.
        for event in self._newest_first():
            if event["EventId"] in self._seen:
                return
            self._seen.add(event["EventId"])
            yield event

    def _newest_first(self) -> "Iterator[StackEventTypeDef]":
        pages = self._deployment.aws.cloudformation.get_paginator("describe_stack_events")
        for page in pages.paginate(StackName=self._stack):
            yield from page["StackEvents"]
