"""The dbt sources: made of the declarations, current, and complete for any model."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from tests.models import library, shops, values
from totesys.model import MODEL
from totesys.model.report import REPORT
from totesys.reporting import Report
from totesys.schema import Model
from totesys.table import Fact
from totesys_cli.command_line import app
from totesys_cli.dbt import HEADER, to_dbt
from totesys_cli.dbt.exposures import exposures
from totesys_cli.dbt.sources import sources
from totesys_cli.dbt.yaml import Yaml, to_yaml

FILE = Path(__file__).parents[2] / "analytics" / "dbt" / "models" / "totesys.yml"
MODELS = pytest.mark.parametrize(
    "model", [MODEL, shops.MODEL, values.MODEL, library.MODEL], ids=lambda model: str(model.name)
)
TEXTS = st.text(st.characters(categories=["L", "N", "P", "S", "Zs"]))


def tables(model: Model) -> dict[tuple[str, str], dict[str, Any]]:
    """Each described table, by source and name."""
    plain = json.loads(json.dumps(sources(model)))
    return {(source["name"], table["name"]): table for source in plain for table in source["tables"]}


def test_the_file_is_what_the_declarations_give() -> None:
    assert FILE.read_text(encoding="utf-8") == to_dbt(MODEL, REPORT), "run `make docs`"
    assert CliRunner().invoke(app, ["dbt"]).stdout == to_dbt(MODEL, REPORT)


@MODELS
def test_each_relation_of_each_star_is_a_table_with_all_its_columns(model: Model) -> None:
    expected: dict[tuple[str, str], list[str]] = {}
    for star, members in model.stars.items():
        for table in members:
            names = (table.name, table.current) if isinstance(table, Fact) else (table.name,)
            expected |= {(star, name): [column.name for column in table.stored_columns] for name in names}
    found = {key: [column["name"] for column in table["columns"]] for key, table in tables(model).items()}
    assert {key: columns for key, columns in found.items() if key[0] != "etl"} == expected


@MODELS
def test_each_promise_of_a_declaration_is_a_test_once(model: Model) -> None:
    found = tables(model)
    for star, members in model.stars.items():
        for table in members:
            described = found[star, table.current if isinstance(table, Fact) else table.name]["columns"]
            tested = {column["name"]: column.get("data_tests", []) for column in described}
            first = star == next(one for one in model.stars if table in model.stars[one])
            for column in table.columns:
                tests = tested[column.name]
                assert ("not_null" in tests) == (first and not column.nullable), column.name
                assert ("unique" in tests) == (first and column.name == table.only_key), column.name
                related = [one["relationships"]["arguments"] for one in tests if "relationships" in one]
                if column.references and first and isinstance(table, Fact):
                    key = model.table(column.references).only_key
                    assert related == [{"to": f"source('{star}', '{column.references}')", "field": key}]


def test_the_labels_of_an_enum_are_the_accepted_values() -> None:
    found = tables(MODEL)["payments", "dim_payment_type"]["columns"]
    (tests,) = (column["data_tests"] for column in found if column["name"] == "payment_type_name")
    assert tests[1]["accepted_values"]["arguments"]["values"] == [
        "SALES_RECEIPT",
        "SALES_REFUND",
        "PURCHASE_PAYMENT",
        "PURCHASE_REFUND",
    ]


def test_an_exposure_depends_on_what_its_questions_read() -> None:
    found = {one["name"]: one["depends_on"] for one in json.loads(json.dumps(exposures(MODEL, REPORT)))}
    assert found["report_purchases"] == [
        f"source('purchases', '{name}')" for name in ("fact_purchase_order_current", "dim_counterparty", "dim_currency")
    ]
    assert "source('etl', 'orphan')" in found["report_freshness_and_quality"]
    assert len(found) == len(REPORT.chapters) + 1
    known = {f"source('{source}', '{name}')" for source, name in tables(MODEL)}
    assert {one for depends_on in found.values() for one in depends_on} <= known


def test_a_model_without_a_report_has_no_exposures() -> None:
    assert "exposures:" not in to_dbt(shops.MODEL, None)
    assert "exposures:" in to_dbt(shops.MODEL, Report("Nothing", ()))
    assert to_dbt(shops.MODEL, None).startswith(HEADER)


def test_a_description_is_not_taken_for_a_template() -> None:
    fact = shops.MODEL.facts[0]
    described = replace(fact, columns=(replace(fact.columns[0], description="{{ x }} {% y %} {# z #} {plain}"),))
    others = tuple(table for table in shops.MODEL.tables if table.name != fact.name)
    found = tables(replace(shops.MODEL, tables=(described, *others)))[fact.star, fact.name]
    description = found["columns"][1]["description"]
    assert description == "{{ '{{' }} x }} {{ '{%' }} y %} {{ '{#' }} z #} {plain}"


KEYS = st.text("abcd_", min_size=1)
DOCUMENTS = st.recursive(
    TEXTS | st.booleans() | st.integers(),
    lambda inner: st.lists(inner, min_size=1, max_size=3) | st.dictionaries(KEYS, inner, min_size=1, max_size=3),
    max_leaves=10,
)


@settings(max_examples=50)
@given(st.dictionaries(KEYS, DOCUMENTS, min_size=1, max_size=3))
def test_what_is_written_as_yaml_is_read_again(document: dict[str, Yaml]) -> None:
    assert yaml.safe_load(to_yaml(document)) == document
