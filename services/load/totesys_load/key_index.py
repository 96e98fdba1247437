"""The index that finds the versions of a fact's key: left out while an extraction fills the fact, then built once.

Row by row, it costs a fifth of COPY, which needs no lookup. A fact that a run finds empty loses the index in that run's
transaction if more runs of the extraction follow. The extraction's last run builds it, and so does any earlier run
that has to look up a key, each in its own transaction. The catalog shows which facts lack it, so another replica, or
load after a crash, continues from there. The index of the version ids stays: it guarantees that they are unique.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

import asyncpg

from totesys.sql import qualified
from totesys.table import Fact
from totesys_load.ddl import create_versions_index, versions_index
from totesys_load.warehouse_connection import WarehouseConnection

# Building needs memory for a sort. The server's own setting applies where it is greater.
_MEMORY = """
    SELECT set_config('maintenance_work_mem', '256MB', true) FROM pg_settings
    WHERE name = 'maintenance_work_mem' AND setting::bigint < 256 * 1024"""

# Separates the names of columns in a list.
_SEPARATOR = "\x1f"
# The names of the first columns of an index, as a list.
_COLUMNS = f"""(
        SELECT string_agg(a.attname, '{_SEPARATOR}' ORDER BY k.place)
        FROM unnest(i.indkey) WITH ORDINALITY AS k (number, place)
        JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = k.number WHERE k.place <= {{count}})"""

# The facts of this role without a complete index that begins with the key and the version id.
_LACKING = f"""
    SELECT f.name FROM unnest($2::text[], $3::text[], $4::int[]) AS f (name, columns, count)
    JOIN pg_class AS c ON c.relname = f.name AND c.relnamespace = to_regnamespace(quote_ident($1))
    WHERE pg_has_role(c.relowner, 'USAGE') AND NOT EXISTS (
        SELECT FROM pg_index AS i WHERE i.indrelid = c.oid AND i.indisvalid AND i.indpred IS NULL
        AND {_COLUMNS.format(count="f.count")} = f.columns)"""

# Whether an index is as load makes it (ascending, descending with NULLs first), and this role may drop it.
_IS_OURS = f"""
    SELECT FROM pg_index AS i JOIN pg_class AS x ON x.oid = i.indexrelid JOIN pg_class AS c ON c.oid = i.indrelid
    WHERE x.oid = to_regclass($1) AND c.oid = to_regclass($2) AND pg_has_role(c.relowner, 'USAGE')
    AND i.indisvalid AND i.indpred IS NULL AND NOT i.indisunique AND NOT i.indisclustered
    AND i.indnatts = $4 AND i.indoption::text = repeat('0 ', $4 - 1) || '3' AND x.reloptions IS NULL
    AND x.reltablespace = 0 AND {_COLUMNS.format(count="$4")} = $3"""


@dataclass
class KeyIndexes:
    """The facts that lack their key index, in a transaction that holds the load lock."""

    warehouse: WarehouseConnection
    lacking: set[str]

    @classmethod
    async def read(cls, warehouse: WarehouseConnection, facts: Iterable[Fact]) -> Self:
        """Look the facts up in the catalog."""
        wanted = [(fact.name, *_columns(fact)) for fact in facts]
        columns = [list(column) for column in zip(*wanted, strict=True)] or [[], [], []]
        rows = await warehouse.connection.fetch(_LACKING, warehouse.schema, *columns)
        return cls(warehouse, {row["name"] for row in rows})

    async def leave_out(self, fact: Fact) -> None:
        """Drop the index of a fact that is empty, unless somebody reads the fact or has changed the index.

        Readers of the fact wait from here to the end of the transaction. Load itself does not wait for any of them.
        """
        if fact.name in self.lacking:
            return
        connection, relation = self.warehouse.connection, self.warehouse.relation(fact)
        index = qualified(self.warehouse.schema, versions_index(fact))
        if await self.warehouse.exists(f"SELECT FROM {relation}") or not await self.warehouse.exists(
            _IS_OURS, index, relation, *_columns(fact)
        ):
            return
        try:
            async with connection.transaction():
                await connection.execute(f"LOCK TABLE {relation} IN ACCESS EXCLUSIVE MODE NOWAIT")
                await connection.execute(f"DROP INDEX {index}")
        except asyncpg.LockNotAvailableError:
            return
        self.lacking.add(fact.name)

    async def build(self, *facts: Fact) -> None:
        """Build the indexes that these facts lack. Readers do not wait for that."""
        for fact in facts:
            if fact.name in self.lacking:
                await self.warehouse.connection.execute(_MEMORY)
                await self.warehouse.connection.execute(create_versions_index(self.warehouse.schema, fact))
                self.lacking.discard(fact.name)


def _columns(fact: Fact) -> tuple[str, int]:
    """The columns of the index of a fact as a list, and how many."""
    names = [*fact.key_names, fact.record_id]
    return _SEPARATOR.join(names), len(names)
