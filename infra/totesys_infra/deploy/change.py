"""What a deployment would change, and what of it would lose data. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mypy_boto3_cloudformation.type_defs import ChangeTypeDef

# What is in them is nowhere else, or is what makes it readable.
HOLDS_DATA = frozenset(
    {
        "AWS::S3::Bucket",
        "AWS::SQS::Queue",
        "AWS::RDS::DBInstance",
        "AWS::RDS::DBCluster",
        "AWS::KMS::Key",
        "AWS::SecretsManager::Secret",
        "AWS::Logs::LogGroup",
    }
)
_HEADINGS = ("action", "logical id", "type", "replacement")


@dataclass(frozen=True)
class Change:
    """One resource's change. `replacement` is `True`, `Conditional` (not known before) or, for none, `-`."""

    action: str
    logical_id: str
    type: str
    replacement: str = "-"

    @property
    def loses_data(self) -> bool:
        """Whether something that holds data would be removed, or replaced by an empty one."""
        return self.type in HOLDS_DATA and (self.action == "Remove" or self.replacement in ("True", "Conditional"))

    def __str__(self) -> str:
        return f"{self.action} {self.logical_id} ({self.type}, replacement: {self.replacement})"


def changes_of(answered: "Iterable[ChangeTypeDef]") -> tuple[Change, ...]:
    """The changes of a change set, as CloudFormation describes them."""
    found = (change["ResourceChange"] for change in answered if "ResourceChange" in change)
    return tuple(
        Change(
            action=change.get("Action", "?"),
            logical_id=change.get("LogicalResourceId", "?"),
            type=change.get("ResourceType", "?"),
            replacement="-" if (known := change.get("Replacement", "-")) == "False" else known,
        )
        for change in found
    )


def changes_of_new(template: Mapping[str, Any]) -> tuple[Change, ...]:
    """What a stack that is not there yet would add."""
    resources: Mapping[str, Mapping[str, Any]] = template["Resources"]
    return tuple(Change("Add", logical_id, str(resource["Type"])) for logical_id, resource in resources.items())


def table(changes: Sequence[Change]) -> str:
    """The changes as columns; one that would lose data ends with `!`."""
    rows = [_HEADINGS, *((c.action, c.logical_id, c.type, c.replacement) for c in changes)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEADINGS))]
    marks = ["", *(" !" if change.loses_data else "" for change in changes)]
    return "\n".join(
        "  " + "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip() + mark
        for row, mark in zip(rows, marks, strict=True)
    )
