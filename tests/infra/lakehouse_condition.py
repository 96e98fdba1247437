"""The data plane's template as CloudFormation reads it, with or without a lakehouse."""

from typing import Any

PARAMETER, CONDITION = "Lakehouse", "HasLakehouse"


def resolved(template: dict[str, Any], *, lakehouse: bool) -> dict[str, Any]:
    """The template once the condition is decided: without it, and without what it excludes."""
    found: dict[str, Any] = _resolved(template, lakehouse)
    for section, name in (("Parameters", PARAMETER), ("Conditions", CONDITION)):
        found[section] = {key: value for key, value in found[section].items() if key != name}
    return found


def _resolved(value: Any, lakehouse: bool) -> Any:
    if isinstance(value, list):
        return [_resolved(one, lakehouse) for one in value]
    if not isinstance(value, dict):
        return value
    if value.get("Fn::If", [None])[0] == CONDITION:
        return _resolved(value["Fn::If"][1 if lakehouse else 2], lakehouse)
    found = {}
    for key, one in value.items():
        if isinstance(one, dict) and one.get("Condition") == CONDITION:
            if not lakehouse:
                continue
            one = {name: inner for name, inner in one.items() if name != "Condition"}
        made = _resolved(one, lakehouse)
        if made != {"Ref": "AWS::NoValue"}:
            found[key] = made
    return found
