"""Sail, an engine that speaks Spark's SQL and protocol, as a reader of the lakehouse's tables in Glue."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from pysail.spark import SparkConnectServer
from pyspark.sql.connect.session import SparkSession

from totesys.schema import Model
from totesys_cli.local.local_data_plane import LocalDataPlane
from totesys_lakehouse.lakehouse_views import view_script
from totesys_lakehouse.view_dialects import SPARK
from totesys_lakehouse.view_queries import Cut, Queries

_VIEW = re.compile(r"CREATE OR REPLACE VIEW (\S+)")


class SparkReader:
    """Sail with the generated views over a namespace, as of the moment when it was made."""

    dialect = SPARK

    def __init__(self, spark: SparkSession, namespace: str, model: Model) -> None:
        self._spark = spark
        self._queries = Queries(model, SPARK, namespace, margin_seconds=0)
        self._run(view_script(self._queries))

    def as_of(self, cut: Cut) -> None:
        """Create the views `…_as_of` of a cut."""
        self._run(view_script(self._queries, cut))

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """What Sail answers."""
        return [tuple(row) for row in self._spark.sql(query).collect()]

    def _run(self, script: str) -> None:
        for statement in script.split(";\n"):
            # Sail replaces no view in Glue, as Spark does.
            if made := _VIEW.match(statement):
                self._spark.sql(f"DROP VIEW IF EXISTS {made[1]}").collect()
                statement = statement.replace("OR REPLACE ", "", 1)
            if statement.strip():
                self._spark.sql(statement).collect()


@contextmanager
def spark_session(plane: LocalDataPlane) -> Iterator[SparkSession]:
    """A session of a Sail server whose catalog is the data plane's Glue."""
    environment = plane.environment()
    endpoint, region = environment["AWS_ENDPOINT_URL"], environment["AWS_REGION"]
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        patch.setenv("AWS_ALLOW_HTTP", "true")
        patch.setenv(
            "SAIL_CATALOG__LIST", f'[{{name="sail", type="glue", region="{region}", endpoint_url="{endpoint}"}}]'
        )
        server = SparkConnectServer("127.0.0.1", 0)
        server.start(background=True)
        _, port = server.listening_address
        session = SparkSession.builder.remote(f"sc://127.0.0.1:{port}").create()
        try:
            yield session
        finally:
            session.stop()
            server.stop()
