"""Opens the Iceberg catalog that a DSN names."""

import os
from collections.abc import Mapping

import boto3
import botocore.session
from botocore.config import Config
from pyiceberg.catalog import MetastoreCatalog
from pyiceberg.catalog.glue import GlueCatalog
from pyiceberg.catalog.sql import SqlCatalog
from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

from totesys.errors import SettingsError
from totesys_lakehouse.lakehouse_errors import lakehouse_errors

NAME = "totesys"
# Seconds until a catalog or a storage that does not answer is given up; the stage tries again with back-off.
CONNECT_SECONDS, ANSWER_SECONDS = 5, 30
_POSTGRES = {
    "connect_timeout": str(CONNECT_SECONDS),
    "tcp_user_timeout": str(ANSWER_SECONDS * 1000),
    "options": f"-c statement_timeout={ANSWER_SECONDS * 1000} -c lock_timeout={ANSWER_SECONDS * 1000}",
    "application_name": NAME,
}
# One attempt: Glue answers the repetition of a commit that it has done with a conflict, and PyIceberg then deletes the
# files of the commit.
_GLUE = Config(
    connect_timeout=CONNECT_SECONDS,
    read_timeout=ANSWER_SECONDS,
    retries={"mode": "standard", "total_max_attempts": 1},
)


def open_catalog(dsn: str, location: str | None, environment: Mapping[str, str] = os.environ) -> MetastoreCatalog:
    """The catalog: `glue`, or the DSN of a Postgres or SQLite database.

    Its new tables are below `location`; None: it is only read, and its database must have tables.

    Endpoint, region and credentials of AWS come from the `environment`, or from where AWS's clients find them.
    Raises LakehouseUnavailable, AccessDenied or SettingsError.
    """
    properties = {
        "warehouse": location or "",
        "init_catalog_tables": str(location is not None),
        **_storage(environment),
    }
    with lakehouse_errors("a connection"):
        if dsn == "glue":
            endpoint = environment.get("AWS_ENDPOINT_URL_GLUE") or environment.get("AWS_ENDPOINT_URL")
            client = _session(environment).client("glue", endpoint_url=endpoint, config=_GLUE)
            return GlueCatalog(NAME, client=client, **properties)
        return SqlCatalog(NAME, uri=_sql_uri(dsn), schema_version="v1", pool_pre_ping="true", **properties)


def _sql_uri(dsn: str) -> str:
    try:
        url = make_url(dsn)
    except ArgumentError:
        raise _unknown() from None
    if url.drivername == "sqlite" and url.database:
        return dsn
    if url.drivername in ("postgresql", "postgres"):
        url = url.set(drivername="postgresql+psycopg")
        added = {name: value for name, value in _POSTGRES.items() if name not in url.query}
        return url.update_query_dict(added).render_as_string(hide_password=False)
    raise _unknown()


def _unknown() -> SettingsError:
    return SettingsError(
        "TOTESYS_LAKEHOUSE_CATALOG_DSN names no catalog. Set it to glue, postgresql://user:password@host:port/database "
        "or sqlite:////folder/file."
    )


def _storage(environment: Mapping[str, str]) -> dict[str, str]:
    found = {
        "s3.endpoint": environment.get("AWS_ENDPOINT_URL_S3") or environment.get("AWS_ENDPOINT_URL"),
        "s3.region": _region(environment),
        "s3.access-key-id": environment.get("AWS_ACCESS_KEY_ID"),
        "s3.secret-access-key": environment.get("AWS_SECRET_ACCESS_KEY"),
        "s3.session-token": environment.get("AWS_SESSION_TOKEN"),
    }
    timeouts = {"s3.connect-timeout": str(CONNECT_SECONDS), "s3.request-timeout": str(ANSWER_SECONDS)}
    return timeouts | {name: value for name, value in found.items() if value}


def _session(environment: Mapping[str, str]) -> boto3.Session:
    return boto3.Session(
        aws_access_key_id=environment.get("AWS_ACCESS_KEY_ID"),
        aws_secret_access_key=environment.get("AWS_SECRET_ACCESS_KEY"),
        aws_session_token=environment.get("AWS_SESSION_TOKEN"),
        region_name=_region(environment),
    )


def _region(environment: Mapping[str, str]) -> str | None:
    named = environment.get("AWS_REGION") or environment.get("AWS_DEFAULT_REGION")
    region: str | None = named or botocore.session.Session().get_config_variable("region")
    return region
