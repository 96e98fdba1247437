"""Orphans: fact rows whose reference no dimension has."""

import io
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute
import pyarrow.parquet

from totesys.connection import Connection
from totesys.lake.records import REASONS
from totesys.schema import Model
from totesys.table import Dimension, Fact
from totesys_load import merge
from totesys_load.copy import TEMPORARY, copy_rows
from totesys_load.orphans import Orphan

# A run's keys are counted where they lie no further apart than this: else the count would read far more than them.
SPREAD = 4


@dataclass
class ReferencedKeys:
    """The distinct keys that a fact's rows of a run refer to, by dimension."""

    model: Model
    fact: Fact
    _keys: dict[str, list[pa.Array]] = field(default_factory=lambda: defaultdict(list))

    def add(self, rows: pa.Table) -> None:
        """Count rows in."""
        for column, dimension in merge.references(self.model, self.fact):
            self._keys[dimension.name].append(pyarrow.compute.unique(rows[column]))

    async def take_orphans(self, connection: Connection, schema: str, rows: str, first_record_id: int) -> list[Orphan]:
        """Remove this run's rows that refer to what is not there; them, each with its reasons.

        `rows` is the relation that they are in, as SQL: the fact, or what is to be inserted into it.
        """
        orphans: list[Orphan] = []
        for dimension_name, arrays in self._keys.items():
            dimension = self.model.table(dimension_name)
            assert isinstance(dimension, Dimension)
            unknown = await _unknown_keys(connection, schema, dimension, arrays)
            if unknown:
                orphans += await self._take_out(connection, rows, dimension, unknown, first_record_id)
        return orphans

    async def _take_out(
        self, connection: Connection, rows: str, dimension: Dimension, keys: list[object], first: int
    ) -> list[Orphan]:
        orphans: list[Orphan] = []
        for column, other in merge.references(self.model, self.fact):
            if other == dimension:
                taken = await merge.take_out(connection, rows, self.fact, column, keys, first)
                orphans += [Orphan(number, row, [f"{column} is not in {dimension.name}"]) for number, row in taken]
        return orphans


async def _unknown_keys(
    connection: Connection, schema: str, dimension: Dimension, arrays: Sequence[pa.Array]
) -> list[object]:
    keys = pyarrow.compute.unique(pa.chunked_array(arrays))
    if pa.types.is_integer(keys.type) and await _all_there(connection, schema, dimension, keys):
        return []
    await merge.make_referenced(connection, schema, dimension)
    await copy_rows(connection, TEMPORARY, merge.REFERENCED, pa.table({"key": keys}))
    return await merge.take_unknown_keys(connection, schema, dimension)


async def _all_there(connection: Connection, schema: str, dimension: Dimension, keys: pa.Array) -> bool:
    """Whether the dimension has every number from the least to the greatest key: counting is cheaper than lookups."""
    span = pyarrow.compute.min_max(keys).as_py()
    first, last = span["min"], span["max"]
    if first is None or last - first >= SPREAD * len(keys):
        return False
    wanted: int = last - first + 1
    return await merge.count_keys_between(connection, schema, dimension, first, last) == wanted


def orphans_parquet(fact: Fact, orphans: Sequence[Orphan]) -> bytes:
    """Orphans as Parquet: the reasons, and every column as text."""
    columns = [pa.field(name, pa.string()) for name in fact.column_names]
    schema = pa.schema([pa.field(REASONS, pa.list_(pa.string())), *columns])
    sink = io.BytesIO()
    pyarrow.parquet.write_table(
        pa.Table.from_pylist([{REASONS: orphan.reasons, **orphan.row} for orphan in orphans], schema),
        sink,
        compression="zstd",
    )
    return sink.getvalue()
