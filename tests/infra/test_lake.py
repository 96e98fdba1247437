"""What the lake's template promises to those who read the lake with other tools."""

import json
from pathlib import Path
from typing import Any

import pytest

from totesys.model import MODEL
from totesys_infra.environment_file import FOLDER, read_environment
from totesys_infra.glue_catalog import catalog
from totesys_infra.stacks.cdk_app import new_app
from totesys_infra.stacks.lake_stack import LakeStack

ENVIRONMENT = read_environment(FOLDER / "example.toml")
PROCESSED = "s3://totesys-example-processed"
BYTES_AT_MOST = 51_200


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    app = new_app(Path(tmp_path_factory.mktemp("lake")))
    LakeStack(app, "lake", ENVIRONMENT)
    made: dict[str, Any] = app.synth().get_stack_by_name("lake").template
    return made


def of_type(template: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    return [resource["Properties"] for resource in template["Resources"].values() if resource["Type"] == kind]


def tables(template: dict[str, Any]) -> dict[str, dict[str, Any]]:
    made = [properties["TableInput"] for properties in of_type(template, "AWS::Glue::Table")]
    return {table["Name"]: table for table in made}


def test_it_fits_into_a_request_and_needs_no_assets_and_no_functions(template: dict[str, Any]) -> None:
    assert len(json.dumps(template, separators=(",", ":"))) < BYTES_AT_MOST
    assert {resource["Type"] for resource in template["Resources"].values()} == {
        "AWS::Glue::Database",
        "AWS::Glue::Table",
        "AWS::S3::Bucket",
        "AWS::S3::BucketPolicy",
        "AWS::Athena::WorkGroup",
    }


def test_every_table_of_the_model_is_in_the_catalog(template: dict[str, Any]) -> None:
    names = {table.name for table in MODEL.tables}
    quarantines = {f"{table.name}_quarantine" for table in MODEL.tables if table.sources}
    assert set(tables(template)) == {*names, *(f"{name}_all" for name in names), *quarantines, "record_line"}
    (database,) = of_type(template, "AWS::Glue::Database")
    assert database["DatabaseInput"]["Name"] == "totesys_example"


def test_athena_works_out_where_a_run_is(template: dict[str, Any]) -> None:
    table = tables(template)["fact_sales_order"]
    assert table["PartitionKeys"] == [{"Name": "run", "Type": "int"}]
    assert table["Parameters"] == {
        "classification": "parquet",
        "projection.enabled": "true",
        "projection.run.type": "integer",
        "projection.run.range": "1,99999999",
        "projection.run.digits": "8",
        "storage.location.template": f"{PROCESSED}/sales/fact_sales_order/run=${{run}}/",
    }
    assert table["StorageDescriptor"]["Location"] == f"{PROCESSED}/sales/fact_sales_order/"


def test_what_has_no_projection_has_no_partitions_that_somebody_would_have_to_register(
    template: dict[str, Any],
) -> None:
    for table in catalog(MODEL):
        made = tables(template)[table.name]
        assert bool(made["PartitionKeys"]) == table.by_run == ("projection.enabled" in made["Parameters"])


def test_answers_are_encrypted_limited_and_kept_for_a_week(template: dict[str, Any]) -> None:
    (group,) = of_type(template, "AWS::Athena::WorkGroup")
    settings = group["WorkGroupConfiguration"]
    assert settings["EnforceWorkGroupConfiguration"] is True
    assert settings["BytesScannedCutoffPerQuery"] == 10 * 1024**3
    assert settings["ResultConfiguration"]["EncryptionConfiguration"] == {"EncryptionOption": "SSE_S3"}
    (bucket,) = of_type(template, "AWS::S3::Bucket")
    assert bucket["LifecycleConfiguration"]["Rules"][0]["ExpirationInDays"] == 7
    assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}
    assert bucket["BucketEncryption"]
    (policy,) = of_type(template, "AWS::S3::BucketPolicy")
    (deny,) = policy["PolicyDocument"]["Statement"]
    assert (deny["Effect"], deny["Condition"]) == ("Deny", {"Bool": {"aws:SecureTransport": "false"}})
