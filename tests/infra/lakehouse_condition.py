"""The data plane's template as CloudFormation reads it, with or without a lakehouse."""

from collections.abc import Mapping
from typing import Any

PARAMETER, CONDITION = "Lakehouse", "HasLakehouse"


def resolved(template: dict[str, Any], *, lakehouse: bool) -> dict[str, Any]:
    """The template once the condition is decided: without it, and without what it excludes."""
    return decided(template, {CONDITION: lakehouse})


def decided(template: dict[str, Any], conditions: Mapping[str, bool]) -> dict[str, Any]:
    """The template once these conditions are decided, without them and their parameters."""
    found: dict[str, Any] = _resolved(template, conditions)
    parameters = {template["Conditions"][name]["Fn::Equals"][0]["Ref"] for name in conditions}
    for section, names in (("Parameters", parameters), ("Conditions", conditions)):
        found[section] = {key: value for key, value in found[section].items() if key not in names}
    return found


def _resolved(value: Any, conditions: Mapping[str, bool]) -> Any:
    if isinstance(value, list):
        return [_resolved(one, conditions) for one in value]
    if not isinstance(value, dict):
        return value
    if (condition := value.get("Fn::If", [None])[0]) in conditions:
        return _resolved(value["Fn::If"][1 if conditions[condition] else 2], conditions)
    found = {}
    for key, one in value.items():
        if isinstance(one, dict) and isinstance(one.get("Condition"), str) and one["Condition"] in conditions:
            if not conditions[one["Condition"]]:
                continue
            one = {name: inner for name, inner in one.items() if name != "Condition"}
        made = _resolved(one, conditions)
        if made != {"Ref": "AWS::NoValue"}:
            found[key] = made
    return found
