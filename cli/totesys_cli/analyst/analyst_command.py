"""`totesys local reader`: a login role for analysts, which reads the stars and the ledger and nothing else."""

from pathlib import Path

from totesys.connection import connect, redacted
from totesys.schema import load_model
from totesys_cli.analyst import analyst_role
from totesys_cli.analyst.analyst_password import VARIABLE, read_password
from totesys_cli.analyst.analyst_rights import Right, rights, schemas
from totesys_cli.options import WarehouseLocation
from totesys_cli.terminal import Output

WHAT = "The warehouse"


async def make_reader(
    output: Output, name: str, warehouse: WarehouseLocation, file: Path | None, *, reset: bool
) -> None:
    """Create the role, or renew the rights of an existing one. Raises UsageError or AccessDenied."""
    model = load_model(warehouse.model)
    wanted = rights(model, warehouse.schema)
    async with connect(WHAT, warehouse.dsn) as connection:
        existed = await analyst_role.exists(connection, name)
        await analyst_role.require_objects(connection, wanted)
        password = read_password(name, file) if reset or not existed else None
        others = await analyst_role.grant(connection, name, password, wanted, schemas(model, warehouse.schema))
    done = "has its rights again" if existed else "was created"
    stars = ", ".join(model.stars)
    lines = [f"The role {name} {done}. It reads {stars} and the ledger at {redacted(warehouse.dsn)}, and nothing else."]
    if password is None:
        lines.append(f"Its password is unchanged. --reset-password sets the one in {VARIABLE} or --password-file.")
    document = {"role": name, "created": not existed, "stars": list(model.stars), "besides": others}
    output.result(document, "\n".join([*lines, *(_warning(name, right) for right in others)]))


def _warning(name: str, right: Right) -> str:
    revoke = f"REVOKE {right.privilege} ON {right.kind} {right.name} FROM PUBLIC"
    return f"warning: {name} also has {right.privilege} on {right.kind.lower()} {right.name}, as has PUBLIC: {revoke}"
