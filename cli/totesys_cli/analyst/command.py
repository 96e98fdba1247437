"""`totesys local reader`."""

import json as json_module
from dataclasses import asdict
from pathlib import Path

from rich.console import Console

from totesys.connection import connect, redacted
from totesys.schema import load_model
from totesys_cli.analyst import role
from totesys_cli.analyst.password import VARIABLE, read_password
from totesys_cli.analyst.rights import Right, rights, schemas

WHAT = "The warehouse"


async def make_reader(
    console: Console, name: str, dsn: str, model: str, schema: str, file: Path | None, *, reset: bool, json: bool
) -> None:
    """Create the role, or renew the rights of an existing one. Raises BadInput or AccessDenied."""
    declared = load_model(model)
    wanted = rights(declared, schema)
    async with connect(WHAT, dsn) as connection:
        existed = await role.exists(connection, name)
        await role.require_objects(connection, wanted)
        password = read_password(name, file) if reset or not existed else None
        besides = await role.grant(connection, name, password, wanted, schemas(declared, schema))
    if json:
        document = {"role": name, "created": not existed, "stars": list(declared.stars)}
        console.print_json(json_module.dumps(document | {"besides": [asdict(right) for right in besides]}))
        return
    for line in _report(name, redacted(dsn), list(declared.stars), existed=existed, kept=password is None):
        console.print(line, soft_wrap=True, markup=False, highlight=False)
    for right in besides:
        console.print(_warning(name, right), soft_wrap=True, markup=False, highlight=False)


def _report(name: str, where: str, stars: list[str], *, existed: bool, kept: bool) -> list[str]:
    done = "has its rights again" if existed else "was created"
    lines = [f"The role {name} {done}. It reads {', '.join(stars)} and the ledger at {where}, and nothing else."]
    if kept:
        lines.append(f"Its password stays. --reset-password sets the one in {VARIABLE} or --password-file.")
    return lines


def _warning(name: str, right: Right) -> str:
    revoke = f"REVOKE {right.privilege} ON {right.kind} {right.name} FROM PUBLIC"
    return f"warning: {name} also has {right.privilege} on {right.kind.lower()} {right.name}, as has PUBLIC: {revoke}"
