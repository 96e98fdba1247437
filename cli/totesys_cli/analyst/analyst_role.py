"""Creates the role, or gives an existing one exactly the rights of an analyst. Has all the SQL for it."""

from collections.abc import Sequence

from totesys.connection import Connection
from totesys.errors import AccessDenied
from totesys.sql import ident, literal, qualified
from totesys_cli.analyst.analyst_rights import Right
from totesys_cli.command_errors import UsageError

_EVERYTHING_OF = ("SCHEMA", "ALL TABLES IN SCHEMA", "ALL SEQUENCES IN SCHEMA", "ALL FUNCTIONS IN SCHEMA")
# Postgres silently truncates longer names.
NAME_BYTES = 63

_EXISTS = "SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1)"
# Why an existing role can do more than an analyst may, regardless of the rights granted here.
_POWERS = """
    SELECT 'it is a superuser' FROM pg_roles WHERE rolname = $1 AND rolsuper
    UNION ALL SELECT 'it may create roles or databases, replicate, or bypass row-level security' FROM pg_roles
    WHERE rolname = $1 AND (rolcreaterole OR rolcreatedb OR rolreplication OR rolbypassrls)
    UNION ALL SELECT 'it is a member of ' || quote_ident(pg_get_userbyid(m.roleid)) FROM pg_auth_members m
    JOIN pg_roles r ON r.oid = m.member WHERE rolname = $1
    UNION ALL SELECT 'it owns objects' FROM pg_roles r
    WHERE rolname = $1 AND EXISTS (SELECT FROM pg_shdepend WHERE refobjid = r.oid AND deptype = 'o')"""
_ABSENT = """
    SELECT kind || ' ' || name FROM unnest($1::text[], $2::text[]) AS wanted (kind, name)
    WHERE CASE kind WHEN 'SCHEMA' THEN to_regnamespace(name)::oid WHEN 'TABLE' THEN to_regclass(name)::oid
               ELSE to_regprocedure(name)::oid END IS NULL"""
_HELD = """
    SELECT CASE kind WHEN 'SCHEMA' THEN has_schema_privilege($1, to_regnamespace(name)::oid, privilege)
                     WHEN 'TABLE' THEN has_table_privilege($1, to_regclass(name)::oid, privilege)
                     ELSE has_function_privilege($1, to_regprocedure(name)::oid, privilege) END
    FROM unnest($2::text[], $3::text[], $4::text[]) WITH ORDINALITY AS wanted (kind, name, privilege, place)
    ORDER BY place"""
# The rights of the role on tables and schemas of the warehouse, and where else it may create objects.
_ALLOWED = """
    SELECT 'SCHEMA' AS kind, nspname AS schema, NULL AS name, privilege FROM pg_namespace
    CROSS JOIN (VALUES ('USAGE'), ('CREATE')) AS every (privilege)
    WHERE has_schema_privilege($1, oid, privilege) AND (nspname = ANY ($2) OR (privilege = 'CREATE'
        AND nspname NOT LIKE 'pg\\_%' AND nspname <> 'information_schema'))
    UNION ALL
    SELECT 'TABLE', nspname, relname, privilege FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    CROSS JOIN unnest('{SELECT,INSERT,UPDATE,DELETE,TRUNCATE,REFERENCES,TRIGGER}'::text[]) AS privilege
    WHERE nspname = ANY ($2) AND relkind IN ('r', 'v', 'm', 'p', 'f') AND has_table_privilege($1, c.oid, privilege)
    UNION ALL
    SELECT 'DATABASE', current_database(), NULL, 'CREATE'
    WHERE has_database_privilege($1, current_database(), 'CREATE')"""


async def exists(connection: Connection, name: str) -> bool:
    """Whether the role exists. Raises UsageError for an invalid name, or a role that can do more than read."""
    if not _is_name(name):
        raise UsageError(
            f"{name!r} is not a valid name of a role. Choose 1 to {NAME_BYTES} bytes that do not begin with pg_."
        )
    powers = [row[0] for row in await connection.fetch(_POWERS, name)]
    if powers:
        raise UsageError(f"The role {name} exists and can do more than read: {'; '.join(powers)}. Choose another name.")
    return bool(await connection.fetchval(_EXISTS, name))


def _is_name(name: str) -> bool:
    reserved = name.startswith("pg_") or name in ("public", "none")
    return bool(name.strip()) and name.isprintable() and len(name.encode()) <= NAME_BYTES and not reserved


async def require_objects(connection: Connection, wanted: Sequence[Right]) -> None:
    """Raise UsageError if an object does not exist."""
    rows = await connection.fetch(_ABSENT, [right.kind for right in wanted], [right.name for right in wanted])
    if absent := list(dict.fromkeys(row[0] for row in rows)):
        raise UsageError(
            f"{len(absent)} objects that an analyst reads do not exist, such as the {absent[0]}. "
            "Load a run first, with `totesys run --once`."
        )


async def grant(
    connection: Connection, name: str, password: str | None, wanted: Sequence[Right], schemas: Sequence[str]
) -> list[Right]:
    """Give the role these rights in `schemas` and no others, in one transaction; returns its other rights.

    Others are granted to PUBLIC. Without `password`, a role that exists keeps its own. Raises
    AccessDenied if the caller may not grant a right.
    """
    async with connection.transaction():
        await _ensure_login(connection, name, password)
        await connection.execute("; ".join([*_revokes(name, schemas), *(right.grant(name) for right in wanted)]))
        await _require_held(connection, name, wanted)
        rows = await connection.fetch(_ALLOWED, name, list(schemas))
    return sorted({_right(*row) for row in rows} - set(wanted))


def _right(kind: str, schema: str, name: str | None, privilege: str) -> Right:
    return Right(kind, ident(schema) if name is None else qualified(schema, name), privilege)


async def _ensure_login(connection: Connection, name: str, password: str | None) -> None:
    if not await connection.fetchval(_EXISTS, name):
        await connection.execute(f"CREATE ROLE {ident(name)}")
    login = "LOGIN" if password is None else f"LOGIN PASSWORD {literal(password)}"
    await connection.execute(f"ALTER ROLE {ident(name)} {login}")
    await connection.execute(f"ALTER ROLE {ident(name)} SET default_transaction_read_only = on")
    database = await connection.fetchval("SELECT current_database()")
    if not await connection.fetchval("SELECT has_database_privilege($1, $2, 'CONNECT')", name, database):
        await connection.execute(f"GRANT CONNECT ON DATABASE {ident(database)} TO {ident(name)}")


def _revokes(name: str, schemas: Sequence[str]) -> list[str]:
    what = [f"{of} {ident(schema)}" for schema in schemas for of in _EVERYTHING_OF]
    return [f"REVOKE ALL ON {one} FROM {ident(name)}" for one in what]


async def _require_held(connection: Connection, name: str, wanted: Sequence[Right]) -> None:
    """Check the grants: a GRANT by a role that may not pass the right on only warns."""
    columns = ([getattr(right, field) for right in wanted] for field in ("kind", "name", "privilege"))
    held = [row[0] for row in await connection.fetch(_HELD, name, *columns)]
    refused = [right.grant(name) for right, has in zip(wanted, held, strict=True) if not has]
    if refused:
        raise AccessDenied(
            f"The role of the DSN may not grant {len(refused)} of the {len(wanted)} rights, such as: {refused[0]}. "
            "Name the owner of the warehouse's tables, or a superuser."
        )
