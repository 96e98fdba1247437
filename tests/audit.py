"""What the warehouse should hold, kept by who asks the source itself before every extraction."""

from collections import defaultdict
from dataclasses import dataclass, field

from totesys.connection import connect
from totesys.schema import Model
from totesys.sql import column_list, ident
from totesys.table import Fact, WarehouseTable

Values = tuple[object, ...]
# The rows of each warehouse table by key, as its reference query gives them.
Sight = dict[str, dict[object, Values]]


@dataclass
class Audit:
    """The states of every row that extractions could see, in order.

    An extraction that ended halfway may have brought any of its rows, so what it saw is not certain to arrive.
    """

    model: Model
    source_dsn: str
    latest: Sight = field(default_factory=dict)
    _seen: dict[tuple[str, object], list[tuple[Values, bool]]] = field(default_factory=lambda: defaultdict(list))

    async def look(self) -> Sight:
        """The source as it is now."""
        async with (
            connect("The source", self.source_dsn) as connection,
            connection.transaction(isolation="repeatable_read"),
        ):
            return {
                table.name: {row[table.only_key]: tuple(row) for row in await connection.fetch(_ordered(table))}
                for table in self.model.tables
                if table.sources
            }

    def note(self, sight: Sight, *, complete: bool) -> None:
        """An extraction has seen this."""
        for fact in self.model.facts:
            for key, values in sight[fact.name].items():
                self._seen[fact.name, key].append((values, complete))
        self.latest = sight

    async def check(self, warehouse_dsn: str) -> None:
        """The warehouse shows the newest state, and of facts every state that could be seen, once and in order."""
        async with connect("The warehouse", warehouse_dsn) as connection:
            for table in self.model.tables:
                if isinstance(table, Fact):
                    rows = await connection.fetch(_versions(table))
                    self._check_versions(table, [tuple(row) for row in rows])
                elif table.sources:
                    rows = await connection.fetch(
                        f"SELECT {column_list(table.column_names)} FROM warehouse.{table.name}"
                    )
                    assert {row[table.only_key]: tuple(row) for row in rows} == self.latest[table.name]

    def _check_versions(self, fact: Fact, rows: list[Values]) -> None:
        place = fact.column_names.index(fact.only_key)
        versions: dict[object, Values] = defaultdict(tuple)
        for row in rows:
            versions[row[place]] += (row,)
        assert {key: found[-1] for key, found in versions.items()} == self.latest[fact.name]
        for key, found in versions.items():
            possible = _histories(self._seen[fact.name, key])
            assert found in possible, f"{fact.name} {key} has {found}, which is none of {possible}"


def _histories(states: list[tuple[Values, bool]]) -> set[Values]:
    """Every sequence of versions that these states may have become."""
    possible: set[Values] = {()}
    for values, certain in states:
        grown = {history if history[-1:] == (values,) else (*history, values) for history in possible}
        possible = grown if certain else possible | grown
    return possible


def _ordered(table: WarehouseTable) -> str:
    return f"SELECT {column_list(table.column_names)} FROM ({table.reference_query}) AS expected"


def _versions(fact: Fact) -> str:
    columns = column_list(fact.column_names)
    return f"SELECT {columns} FROM warehouse.{ident(fact.name)} ORDER BY {ident(fact.record_id)}"
