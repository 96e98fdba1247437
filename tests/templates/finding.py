"""What a check looks at, and what it says."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

Body = dict[str, Any]
Tool = Literal["totesys", "cdk-nag", "cfn-lint", "cloudformation-validate", "checkov"]


@dataclass(frozen=True)
class Template:
    """A template: which stack it is of, and whose variant: an environment's, or a planted fault's."""

    stack: str
    variant: str
    body: Body

    @property
    def label(self) -> str:
        """What it is called where tools report on many; neither part has a dot."""
        return f"{self.stack}.{self.variant}"


@dataclass(frozen=True, order=True)
class Finding:
    """What a rule of a tool says against a resource, by its logical id (empty: the whole template)."""

    tool: Tool
    rule: str
    label: str
    resource: str
    message: str

    @property
    def stack(self) -> str:
        """The stack that it is about, whatever the variant."""
        return self.label.partition(".")[0]

    @property
    def variant(self) -> str:
        """The environment or the planted fault that it was found in."""
        return self.label.partition(".")[2]

    @property
    def where(self) -> str:
        """Stack and resource, as an acknowledgement names them."""
        return f"{self.stack}/{self.resource}"

    @property
    def wherever(self) -> tuple[str, ...]:
        """What it says and of what, the same for every variant."""
        return (self.tool, self.rule, self.where)

    def __str__(self) -> str:
        return f"{self.tool} {self.rule}  {self.where}: {self.message}"


Check = Callable[[Iterable[Template]], list[Finding]]


def of_type(body: Body, *types: str) -> Iterator[tuple[str, Body]]:
    """The resources of these types: logical id, and properties."""
    for logical_id, resource in body["Resources"].items():
        if resource["Type"] in types:
            yield logical_id, resource.get("Properties", {})
