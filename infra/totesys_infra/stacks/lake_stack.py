"""The lake for analysts: a Glue database with its tables, and an Athena workgroup to query them."""

import aws_cdk as cdk
from aws_cdk import aws_athena as athena
from aws_cdk import aws_glue as glue
from aws_cdk import aws_s3 as s3
from constructs import Construct

from totesys_infra.environment import Environment
from totesys_infra.glue_catalog import RUN, CatalogTable, catalog
from totesys_infra.stacks.acknowledged import acknowledge

RESULT_DAYS = 7
_HIVE = "org.apache.hadoop.hive"
_PARQUET = (
    f"{_HIVE}.ql.io.parquet.MapredParquetInputFormat",
    f"{_HIVE}.ql.io.parquet.MapredParquetOutputFormat",
    f"{_HIVE}.ql.io.parquet.serde.ParquetHiveSerDe",
)
_LINES = (
    "org.apache.hadoop.mapred.TextInputFormat",
    f"{_HIVE}.ql.io.HiveIgnoreKeyTextOutputFormat",
    f"{_HIVE}.serde2.lazy.LazySimpleSerDe",
)


class LakeStack(cdk.Stack):
    """A Glue database over the processed bucket. It owns no data: deleting it removes tables and query results only."""

    def __init__(self, scope: Construct, construct_id: str, environment: Environment) -> None:
        super().__init__(
            scope,
            construct_id,
            description="totesys lake: its tables for Athena, Spark and Redshift Spectrum",
            analytics_reporting=False,
        )
        self._environment = environment
        self._names = environment.names
        database = glue.CfnDatabase(
            self,
            "Database",
            catalog_id=cdk.Aws.ACCOUNT_ID,
            database_input=glue.CfnDatabase.DatabaseInputProperty(
                name=self._names.glue_database, description="The lake: the rows of each run"
            ),
        )
        for table in catalog(environment.declared):
            self._table(table).add_resource_dependency(database)
        self._workgroup(self._results())

    def _table(self, table: CatalogTable) -> glue.CfnTable:
        bucket = self._names.bucket("processed")
        reads, writes, library = _PARQUET if table.parquet else _LINES
        parameters = {"classification": "parquet" if table.parquet else "text", **table.projection}
        if table.by_run:
            parameters["storage.location.template"] = table.location_template(bucket)
        return glue.CfnTable(
            self,
            "".join(word.title() for word in table.name.split("_")),
            catalog_id=cdk.Aws.ACCOUNT_ID,
            database_name=self._names.glue_database,
            table_input=glue.CfnTable.TableInputProperty(
                name=table.name,
                description=table.comment,
                table_type="EXTERNAL_TABLE",
                parameters=parameters,
                partition_keys=[glue.CfnTable.ColumnProperty(name=RUN, type="int")] if table.by_run else [],
                storage_descriptor=glue.CfnTable.StorageDescriptorProperty(
                    location=table.location(bucket),
                    input_format=reads,
                    output_format=writes,
                    serde_info=glue.CfnTable.SerdeInfoProperty(serialization_library=library),
                    columns=[
                        glue.CfnTable.ColumnProperty(
                            name=column.name,
                            type=column.type,
                            comment=column.comment if table.by_run else None,
                        )
                        for column in table.columns
                    ],
                ),
            ),
        )

    def _results(self) -> s3.Bucket:
        results = s3.Bucket(
            self,
            "Results",
            bucket_name=self._names.bucket("queries"),
            encryption=s3.BucketEncryption.S3_MANAGED,
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            enforce_ssl=True,
            removal_policy=cdk.RemovalPolicy.DESTROY,
            lifecycle_rules=[
                s3.LifecycleRule(
                    expiration=cdk.Duration.days(RESULT_DAYS),
                    abort_incomplete_multipart_upload_after=cdk.Duration.days(1),
                )
            ],
        )
        acknowledge(results, "S1", "Athena keeps its own query history; the results expire in days.")
        return results

    def _workgroup(self, results: s3.Bucket) -> None:
        athena.CfnWorkGroup(
            self,
            "Workgroup",
            name=self._names.name,
            description="Queries of the lake: encrypted results, and a scan limit per query",
            recursive_delete_option=True,
            work_group_configuration=athena.CfnWorkGroup.WorkGroupConfigurationProperty(
                enforce_work_group_configuration=True,
                publish_cloud_watch_metrics_enabled=True,
                bytes_scanned_cutoff_per_query=self._environment.lake.query_gib * 1024**3,
                engine_version=athena.CfnWorkGroup.EngineVersionProperty(
                    selected_engine_version="Athena engine version 3"
                ),
                result_configuration=athena.CfnWorkGroup.ResultConfigurationProperty(
                    output_location=f"s3://{results.bucket_name}/",
                    encryption_configuration=athena.CfnWorkGroup.EncryptionConfigurationProperty(
                        encryption_option="SSE_S3"
                    ),
                ),
            ),
        )
