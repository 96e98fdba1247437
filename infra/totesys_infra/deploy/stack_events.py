"""The events of a CloudFormation stack while it changes."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from totesys_infra.deploy.deployment import Deployment

if TYPE_CHECKING:
    from mypy_boto3_cloudformation.type_defs import StackEventTypeDef

# Cancellations follow from another failure, and are not reasons.
_CANCELLED = ("cancelled", "Cancelled")


class StackEvents:
    """The events of one stack from now on; reports each once."""

    def __init__(self, deployment: Deployment, stack: str) -> None:
        self._deployment = deployment
        self._stack = stack
        # Earlier events are not reported.
        self._seen = {event["EventId"] for event in self._newest_first()}
        self._status: str | None = None
        self._failures: list[str] = []

    def ended(self) -> str | None:
        """Report new events; the final status of the stack, or None while it is changing.

        The status comes from an event, because the stack itself can briefly show its earlier status.
        """
        for event in reversed(list(self._new())):
            self._report(event)
        return self._status

    def reasons(self) -> str:
        """The failures in order, one line each."""
        return "".join(f"\n  {failure}" for failure in self._failures) + ("\n" if self._failures else "")

    def _report(self, event: "StackEventTypeDef") -> None:
        status, reason = event.get("ResourceStatus", "?"), event.get("ResourceStatusReason", "")
        line = f"{event.get('LogicalResourceId', '?')} ({event.get('ResourceType', '?')}) {status}"
        text = f"{line}: {reason}" if reason else line
        self._deployment.report(f"  {event['Timestamp']:%H:%M:%S} {text}")
        if status.endswith("_FAILED") and not any(word in reason for word in _CANCELLED):
            self._failures.append(text)
        if event.get("PhysicalResourceId") == event["StackId"]:
            self._status = None if status.endswith("_IN_PROGRESS") else status

    def _new(self) -> "Iterator[StackEventTypeDef]":
        # Stop at the first known event.
        for event in self._newest_first():
            if event["EventId"] in self._seen:
                return
            self._seen.add(event["EventId"])
            yield event

    def _newest_first(self) -> "Iterator[StackEventTypeDef]":
        pages = self._deployment.aws.cloudformation.get_paginator("describe_stack_events")
        for page in pages.paginate(StackName=self._stack):
            yield from page["StackEvents"]
