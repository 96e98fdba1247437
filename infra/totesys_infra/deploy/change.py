"""The changes of a deployment, and which of them would lose data. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mypy_boto3_cloudformation.type_defs import ChangeTypeDef, ResourceChangeTypeDef

# Their contents exist nowhere else, or make other contents readable.
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
# Of these types, what presets and options add and remove: the key of e-mails on their way, and a random token.
REMADE = ("AlertsKey", "TriggerToken")
# CloudFormation calls their replacement conditional, and RDS makes the change in place.
CHANGED_IN_PLACE = {
    "AWS::RDS::DBInstance": frozenset(
        {
            "AutoMinorVersionUpgrade",
            "BackupRetentionPeriod",
            "DBParameterGroupName",
            "MultiAZ",
            "PreferredMaintenanceWindow",
        }
    )
}
_HEADINGS = ("action", "logical id", "type", "replacement")


@dataclass(frozen=True)
class Change:
    """The change of a resource. `replacement` is `True`, `Conditional` (known only later), or `-` for none."""

    action: str
    logical_id: str
    type: str
    replacement: str = "-"

    @property
    def loses_data(self) -> bool:
        """Whether it would remove stored data, or replace it with an empty resource."""
        return (
            self.type in HOLDS_DATA
            and not self.logical_id.startswith(REMADE)
            and (self.action == "Remove" or self.replacement in ("True", "Conditional"))
        )

    def __str__(self) -> str:
        return f"{self.action} {self.logical_id} ({self.type}, replacement: {self.replacement})"


def changes_of(answered: "Iterable[ChangeTypeDef]") -> tuple[Change, ...]:
    """The changes in CloudFormation's description of a change set."""
    found = (change["ResourceChange"] for change in answered if "ResourceChange" in change)
    return tuple(
        Change(
            action=change.get("Action", "?"),
            logical_id=change.get("LogicalResourceId", "?"),
            type=change.get("ResourceType", "?"),
            replacement=_replacement(change),
        )
        for change in found
    )


def _replacement(change: "ResourceChangeTypeDef") -> str:
    known = change.get("Replacement", "False")
    targets = [detail.get("Target", {}) for detail in change.get("Details", [])]
    deciding = {target.get("Name") for target in targets if target.get("RequiresRecreation", "Never") != "Never"}
    in_place = CHANGED_IN_PLACE.get(change.get("ResourceType", ""), frozenset())
    if known == "False" or (known == "Conditional" and deciding and deciding <= in_place):
        return "-"
    return known


def changes_of_new(template: Mapping[str, Any]) -> tuple[Change, ...]:
    """The resources that a new stack would add."""
    resources: Mapping[str, Mapping[str, Any]] = template["Resources"]
    return tuple(Change("Add", logical_id, str(resource["Type"])) for logical_id, resource in resources.items())


def changed_disks(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, int]:
    """The databases whose disk has another size in a new template, with that size in GiB."""
    return {
        logical_id: size
        for logical_id, size in _disks(after).items()
        if logical_id in (old := _disks(before)) and old[logical_id] != size
    }


def _disks(template: Mapping[str, Any]) -> dict[str, int]:
    return {
        logical_id: int(resource["Properties"]["AllocatedStorage"])
        for logical_id, resource in template["Resources"].items()
        if resource["Type"] == "AWS::RDS::DBInstance"
    }


def least_larger(gib: int) -> int:
    """The least size that RDS can enlarge a disk to: a tenth more. CloudFormation cannot undo a smaller step."""
    return -(-gib * 11 // 10)


def table(changes: Sequence[Change]) -> str:
    """The changes in columns; `!` marks those that would lose data."""
    rows = [_HEADINGS, *((c.action, c.logical_id, c.type, c.replacement) for c in changes)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEADINGS))]
    marks = ["", *(" !" if change.loses_data else "" for change in changes)]
    return "\n".join(
        "  " + "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip() + mark
        for row, mark in zip(rows, marks, strict=True)
    )
