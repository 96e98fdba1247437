"""The role of each task has the declared permissions, which are compared with the service's actual calls elsewhere."""

from typing import Any, Literal

import pytest

from tests.infra.environments import environment, own_warehouse, templates_of
from tests.infra.test_data_plane import of_type
from totesys_infra.environment import Environment
from totesys_infra.names import SERVICES, Service
from totesys_infra.permissions import permissions

Allowed = set[tuple[str, str]]


def allowed(template: dict[str, Any], service: Service | Literal["ops"]) -> Allowed:
    """The allowed pairs of action and resource; a resource known only to AWS is called `secret`."""
    (role,) = (
        one["Properties"]
        for one in of_type(template, "AWS::IAM::Role").values()
        if one["Properties"]["Description"] == f"The tasks of {service}"
    )
    assert "ManagedPolicyArns" not in role
    statements = [s for policy in role["Policies"] for s in policy["PolicyDocument"]["Statement"]]
    assert {statement["Effect"] for statement in statements} == {"Allow"}
    return {
        (action, resource if isinstance(resource, str) else "secret")
        for statement in statements
        for action in _listed(statement["Action"])
        for resource in _listed(statement["Resource"])
    }


def _listed(one: Any) -> list[Any]:
    return one if isinstance(one, list) else [one]


@pytest.mark.parametrize("shop", [environment("standard"), own_warehouse("standard")], ids=["rds", "own-warehouse"])
def test_a_task_role_has_the_declared_permissions_and_load_reads_the_password_of_rds(shop: Environment) -> None:
    template = templates_of(shop)["shop-services"]
    assert not of_type(template, "AWS::IAM::Policy")
    assert allowed(template, "ops") == allowed(template, "load")
    for service in SERVICES:
        declared = {(a, r) for one in permissions(service, shop.names) for a in one.actions for r in one.resources}
        of_rds = service == "load" and shop.warehouse.secret is None
        assert allowed(template, service) == declared | (
            {("secretsmanager:GetSecretValue", "secret")} if of_rds else set()
        )
