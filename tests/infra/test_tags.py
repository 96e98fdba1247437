"""Every resource that AWS lets have tags says of which environment it is."""

from typing import Any

import pytest
from cfnlint.schema.manager import PROVIDER_SCHEMA_MANAGER

from tests.infra.environments import few, templates_of
from totesys_infra.stacks.cdk_app import data_plane

# AWS tags these with what uses them, or offers no way to.
WITHOUT = {
    "AWS::CloudWatch::Dashboard": "the CDK does not know its tags, and it costs nothing that a tag could filter",
}


def tag_property(kind: str) -> str | None:
    """The property of a type that takes tags; None if there is none."""
    schema = PROVIDER_SCHEMA_MANAGER.get_resource_schema("eu-west-2", kind).schema
    tagging = schema.get("tagging") or {}
    if tagging.get("taggable") is False:
        return None
    path = str(tagging.get("tagProperty") or "/properties/Tags")
    name = path.rsplit("/", 1)[-1]
    return name if name in schema["properties"] else None


def tags(resource: dict[str, Any], name: str) -> dict[str, Any]:
    given = resource["Properties"].get(name, {})
    return given if isinstance(given, dict) else {one["Key"]: one["Value"] for one in given}


def untagged(template: dict[str, Any], environment: object) -> list[str]:
    """The resources that lack a tag, though their type has them."""
    wanted = {"app": "totesys", "environment": environment}
    return [
        f"{key} ({resource['Type']})"
        for key, resource in template["Resources"].items()
        if resource["Type"] not in WITHOUT
        and (name := tag_property(resource["Type"])) is not None
        and not wanted.items() <= tags(resource, name).items()
    ]


@pytest.mark.parametrize("variant", few())
def test_every_resource_names_its_app_and_its_environment(variant: str) -> None:
    environment = few()[variant]
    for stack, template in templates_of(environment).items():
        value = {"Ref": "Name"} if stack == environment.names.stack("data-plane") else "shop"
        assert untagged(template, value) == [], stack


def test_a_resource_without_its_tags_is_found() -> None:
    template = data_plane()
    assert untagged(template, {"Ref": "Name"}) == []
    assert len(untagged(template, "another")) > 10


def test_the_budget_counts_what_is_tagged() -> None:
    template = templates_of(few()["lean"])["shop-watching"]
    (budget,) = (r["Properties"] for r in template["Resources"].values() if r["Type"] == "AWS::Budgets::Budget")
    assert budget["Budget"]["CostFilters"] == {"TagKeyValue": ["user:environment$shop"]}
