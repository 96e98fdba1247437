"""The input of a check, and its findings."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

Body = dict[str, Any]
Tool = Literal["totesys", "cdk-nag", "cfn-lint", "cloudformation-validate", "checkov"]


@dataclass(frozen=True)
class Template:
    """A template of a stack; its variant is an environment or a planted fault."""

    stack: str
    variant: str
    body: Body

    @property
    def label(self) -> str:
        """Its name in reports on many templates; neither part has a dot."""
        return f"{self.stack}.{self.variant}"


@dataclass(frozen=True, order=True)
class Finding:
    """A finding of a tool's rule at a resource, by its logical id (empty for the whole template)."""

    tool: Tool
    rule: str
    label: str
    resource: str
    message: str

    @property
    def stack(self) -> str:
        """The stack, without the variant."""
        return self.label.partition(".")[0]

    @property
    def variant(self) -> str:
        """The environment or the planted fault."""
        return self.label.partition(".")[2]

    @property
    def where(self) -> str:
        """Stack and resource, as in an acknowledgement."""
        return f"{self.stack}/{self.resource}"

    @property
    def wherever(self) -> tuple[str, ...]:
        """The finding without its variant."""
        return (self.tool, self.rule, self.where)

    def __str__(self) -> str:
        return f"{self.tool} {self.rule}  {self.where}: {self.message}"


Check = Callable[[Iterable[Template]], list[Finding]]


def of_type(body: Body, *types: str) -> Iterator[tuple[str, Body]]:
    """The resources of these types: logical id, and properties."""
    for logical_id, resource in body["Resources"].items():
        if resource["Type"] in types:
            yield logical_id, resource.get("Properties", {})
