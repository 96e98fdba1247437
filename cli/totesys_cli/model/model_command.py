"""`totesys model draft` and `totesys model check`."""

import re
from pathlib import Path

import typer

from totesys.errors import ModelError
from totesys.schema import load_model
from totesys_cli.command_errors import FAILED, UsageError
from totesys_cli.model.draft_module import to_module
from totesys_cli.model.draft_tables import draft
from totesys_cli.model.foreign_keys import read_relations
from totesys_cli.model.model_check import Findings, check_model
from totesys_cli.terminal import Output, write_document
from totesys_ingest.source_connection import open_source


async def draft_model(output: Output, dsn: str, schema: str, name: str | None, file: Path | None) -> None:
    """Write a module that declares every table of the source that can be declared."""
    async with open_source(dsn, schema) as source:
        model = draft(await read_relations(source.connection, schema))
        named = name or await source.connection.fetchval("SELECT current_database()::text")
    if not model.tables:
        raise UsageError(f"{source.location}, schema {schema}, has no table with a key. Name another schema.")
    write_document(to_module(model, _label(named)), file)
    facts = sum(table.is_fact for table in model.tables)
    output.note(
        f"Drafted {len(model.tables)} tables: {facts} facts, {len(model.tables) - facts} dimensions, "
        f"{model.decisions} decisions marked TODO."
    )


async def run_check(output: Output, module: str, dsn: str, schema: str) -> None:
    """Print a sentence for each finding. Exits with FAILED if there is a problem."""
    try:
        model = load_model(module)
    except ModelError as error:
        findings = Findings([str(error)])
    else:
        async with open_source(dsn, schema) as source:
            findings = await check_model(model, source)
    for note in findings.notes:
        output.note(f"Note: {note}")
    passed = f"{module} fits the source: contract, keys, types, grain and reference queries."
    output.result({"problems": findings.problems, "notes": findings.notes}, "\n".join(findings.problems) or passed)
    if findings.problems:
        raise typer.Exit(FAILED)


def _label(name: str) -> str:
    """The name of a model and a star: a plain identifier."""
    return re.sub(r"\W+", "_", name.lower(), flags=re.ASCII).strip("_") or "model"
