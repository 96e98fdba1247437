"""Checks whether ingest can read the source's log, and names the statements that allow it."""

from dataclasses import dataclass

from totesys.connection import Connection
from totesys.schema import Model
from totesys_cli.doctor.finding import Finding, ok, warn
from totesys_cli.local.local_databases import PUBLICATION
from totesys_cli.source_database import publication_statement
from totesys_ingest.ingest_settings import GIB, MIB
from totesys_ingest.publication import read_publication

CHECK = "source log"

# RDS and Aurora have a role in place of the attribute, and a parameter in place of the setting.
_RIGHTS = """
SELECT current_setting('wal_level') AS wal_level, quote_ident(current_user) AS role, pg_is_in_recovery() AS in_recovery,
       rolsuper OR rolreplication OR EXISTS (
           SELECT FROM pg_roles AS r WHERE r.rolname = 'rds_replication' AND pg_has_role(r.oid, 'member')
       ) AS may_replicate,
       EXISTS (SELECT FROM pg_roles WHERE rolname = 'rds_replication') AS rds,
       (SELECT setting::bigint FROM pg_settings WHERE name = 'max_slot_wal_keep_size') AS most_mib
FROM pg_roles WHERE rolname = current_user"""


@dataclass(frozen=True)
class LogRights:
    """What the source allows: its settings, this role's right, and the problem of the publication if it has one."""

    wal_level: str
    role: str
    in_recovery: bool
    may_replicate: bool
    rds: bool
    most_mib: int
    publication: str | None


async def check_log(connection: Connection, model: Model, schema: str) -> Finding:
    """Whether capture from the log is available."""
    row = await connection.fetchrow(_RIGHTS)
    assert row is not None
    publication = await read_publication(connection, PUBLICATION, schema, model.sources)
    return judge_log(
        LogRights(**row, publication=publication.problem), publication_statement(model, schema, PUBLICATION)
    )


def judge_log(found: LogRights, publication: str) -> Finding:
    """Judge what the source allows; `publication` is the statement that creates the publication. Pure."""
    if found.in_recovery:
        return ok(CHECK, "The source is a standby, so ingest scans for changes.")
    statements = []
    if found.wal_level != "logical":
        parameter = (
            "set rds.logical_replication = 1 in the parameter group"
            if found.rds
            else ("ALTER SYSTEM SET wal_level = logical")
        )
        statements.append(f"{parameter}, and restart the server")
    if not found.may_replicate:
        grant = f"GRANT rds_replication TO {found.role}" if found.rds else f"ALTER ROLE {found.role} REPLICATION"
        statements.append(grant)
    if found.publication:
        statements.append(publication)
    if statements:
        sentence = "Capture from the log is not set up, so ingest scans for changes. Both capture every change."
        return ok(CHECK, f"{sentence} To make it available: {'; '.join(statements)}: docs/capture.md.")
    if not 0 <= found.most_mib * MIB <= 100 * GIB:
        remedy = "ALTER SYSTEM SET max_slot_wal_keep_size = '20GB'; SELECT pg_reload_conf()."
        sentence = "Capture from the log is available. While ingest is down, its slot could fill the source's disk."
        return warn(CHECK, sentence, remedy)
    return ok(CHECK, "Capture from the log is available: set TOTESYS_CAPTURE=log for ingest.")
