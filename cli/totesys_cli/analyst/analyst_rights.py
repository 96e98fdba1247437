"""The rights of an analyst: those that docs/analysts.md uses, and no others. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass

from totesys.ledger_schema import DELETION, ORPHAN, RUN, RUN_TABLE
from totesys.schema import ETL, Model
from totesys.sql import ident, qualified
from totesys.table import Fact

# The ledger's tables with freshness, the arrival of each version, deletions and missing rows.
LEDGER = (RUN, RUN_TABLE, DELETION, ORPHAN)


@dataclass(frozen=True, order=True)
class Right:
    """A privilege on an object: `kind` is SCHEMA, TABLE or FUNCTION, `name` the quoted SQL name."""

    kind: str
    name: str
    privilege: str

    def grant(self, role: str) -> str:
        """The statement that grants it."""
        return f"GRANT {self.privilege} ON {self.kind} {self.name} TO {ident(role)}"


def rights(model: Model, schema: str) -> list[Right]:
    """The rights of an analyst; `schema` is that of the warehouse tables.

    The analyst reads the stars, without USAGE on `schema`. An as-of function runs with its caller's rights, so the
    caller needs SELECT on the facts that it reads.
    """
    return [*_of_stars(model), *_of_as_of(model, schema), *_of_ledger()]


def schemas(model: Model, schema: str) -> list[str]:
    """Every schema of the warehouse."""
    return [*model.stars, schema, ETL]


def _of_stars(model: Model) -> Iterator[Right]:
    for star, tables in model.stars.items():
        yield Right("SCHEMA", ident(star), "USAGE")
        for table in tables:
            yield Right("TABLE", qualified(star, table.name), "SELECT")
            if isinstance(table, Fact):
                yield Right("TABLE", qualified(star, table.current), "SELECT")
                yield Right("FUNCTION", f"{qualified(star, table.as_of)}(timestamptz)", "EXECUTE")


def _of_as_of(model: Model, schema: str) -> Iterator[Right]:
    for fact in model.facts:
        yield Right("TABLE", qualified(schema, fact.name), "SELECT")
        yield Right("FUNCTION", f"{qualified(schema, fact.as_of)}(timestamptz)", "EXECUTE")


def _of_ledger() -> Iterator[Right]:
    yield Right("SCHEMA", ident(ETL), "USAGE")
    yield from (Right("TABLE", table.qualified, "SELECT") for table in LEDGER)
