"""The stacks of an environment derive from the model that it names."""

import json

import pytest

from examples.rentals import MODEL
from tests.infra.environments import environment, templates_of
from totesys.errors import ModelError
from totesys.model import MODEL as COMPANY
from totesys_infra.names import OPS, SERVICES

RENTALS = environment(model="examples.rentals")


def test_permissions_catalog_lifecycle_and_tasks_derive_from_the_model_of_the_environment() -> None:
    templates = templates_of(RENTALS)
    text = {name: json.dumps(template) for name, template in templates.items()}
    tables = [
        resource["Properties"]["TableInput"]["Name"]
        for resource in templates["shop-lake"]["Resources"].values()
        if resource["Type"] == "AWS::Glue::Table"
    ]
    assert {table.name for table in MODEL.tables} <= set(tables)
    for folder in {MODEL.lake_schema(table) for table in MODEL.sources}:
        assert f"shop-ingest/{folder}/*" in text["shop-services"]
        assert f'"Prefix": "{folder}/"' in text["shop"]
    assert text["shop-services"].count('{"Name": "TOTESYS_MODEL", "Value": "examples.rentals"}') == len(
        (*SERVICES, OPS)
    )
    assert '{"Name": "MODEL", "Value": "examples.rentals"}' in text["shop-build"]
    foreign = {table.name for table in COMPANY.tables} - {table.name for table in MODEL.tables}
    assert not [name for name in foreign for body in text.values() if name in body]


def test_a_model_that_cannot_be_imported_is_refused() -> None:
    with pytest.raises(ModelError, match="No module named"):
        templates_of(environment(model="no.such.module"))
