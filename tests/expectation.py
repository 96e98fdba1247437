"""What the warehouse must hold after each run, worked out from what the source says by SQL, with all that is gone."""

from collections import defaultdict
from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass, field

from totesys.connection import connect
from totesys.schema import Model
from totesys.sql import column_list, qualified
from totesys.table import Dimension, Fact, WarehouseTable

Values = tuple[object, ...]
Rows = dict[int, Values]
Sight = dict[str, Rows]
NOTHING_LOST: Mapping[str, Container[int]] = {}


@dataclass
class Version:
    """A version of a fact, the run that brought it, and whether it waits for its dimension."""

    values: Values
    run: int
    waits: bool


@dataclass
class Absence:
    """From the run whose sweep missed an id until the run that brought it again."""

    run: int
    until: int | None = None


@dataclass
class Expectation:
    """The warehouse as it must be, run after run."""

    model: Model
    versions: dict[tuple[str, int], list[Version]] = field(default_factory=lambda: defaultdict(list))
    dimensions: dict[str, Rows] = field(default_factory=lambda: defaultdict(dict))
    absences: dict[tuple[str, int], list[Absence]] = field(default_factory=lambda: defaultdict(list))

    async def look(self, source_dsn: str) -> Sight:
        """Every row that the reference queries give of the source, those that cannot become warehouse rows too."""
        async with (
            connect("The source", source_dsn) as connection,
            connection.transaction(isolation="repeatable_read"),
        ):
            return {
                table.name: {row[table.only_key]: tuple(row) for row in await connection.fetch(_oracle(table))}
                for table in self.model.tables
            }

    def take(self, sight: Sight, run: int, *, swept: bool, lost: Mapping[str, Container[int]] = NOTHING_LOST) -> None:
        """A run has brought this; `lost` are by source table the keys that the log says are gone."""
        for dimension in self.model.dimensions:
            for key, values in _possible(dimension, sight).items():
                self.dimensions[dimension.name][key] = values
                self._return(dimension, key, run)
        for fact in self.model.facts:
            self._place(fact)
            for key, values in _possible(fact, sight).items():
                known = self.versions[fact.name, key]
                if not known or known[-1].values != values:
                    known.append(Version(values, run, self._is_orphan(fact, values)))
                self._return(fact, key, run)
        built = {table.name: table.sources[0] for table in self.model.tables}
        self._sweep(sight, run, lambda name, key: swept or key in lost.get(built[name], ()))

    def current(self, fact: Fact, run: int | None = None) -> set[Values]:
        """The newest version of each id that is not deleted, now or as of a run's snapshot."""
        found: set[Values] = set()
        for (name, key), versions in self.versions.items():
            there = [v.values for v in versions if not v.waits and (run is None or v.run <= run)]
            if name == fact.name and there and not self._is_absent(name, key, run):
                found.add(there[-1])
        return found

    def all_versions(self, fact: Fact) -> dict[int, list[Values]]:
        """The versions of each id in their order, without those that wait."""
        found = {
            key: [version.values for version in versions if not version.waits]
            for (name, key), versions in self.versions.items()
            if name == fact.name
        }
        return {key: versions for key, versions in found.items() if versions}

    def deletions(self) -> set[tuple[str, int, int, int | None]]:
        """What `etl.deletion` must hold."""
        return {(name, key, a.run, a.until) for (name, key), absences in self.absences.items() for a in absences}

    def waiting(self) -> int:
        """How many versions wait for a dimension's row."""
        return sum(version.waits for versions in self.versions.values() for version in versions)

    def _place(self, fact: Fact) -> None:
        for (name, _), versions in self.versions.items():
            for version in versions:
                if name == fact.name and version.waits:
                    version.waits = self._is_orphan(fact, version.values)

    def _is_orphan(self, fact: Fact, values: Values) -> bool:
        referred = [(c.references, value) for c, value in zip(fact.columns, values, strict=True) if c.references]
        return any(value not in self.dimensions[name] for name, value in referred)

    def _return(self, table: WarehouseTable, key: int, run: int) -> None:
        absences = self.absences[table.name, key]
        if absences and absences[-1].until is None:
            absences[-1].until = run

    def _sweep(self, sight: Sight, run: int, is_swept: Callable[[str, int], bool]) -> None:
        known = {(name, key) for name, rows in self.dimensions.items() for key in rows} | set(self.versions)
        for name, key in known:
            ever = name in self.dimensions or self.versions[name, key]
            gone = is_swept(name, key) and key not in sight[name]
            if ever and gone and not self._is_absent(name, key, None):
                self.absences[name, key].append(Absence(run))

    def _is_absent(self, name: str, key: int, run: int | None) -> bool:
        return any(
            a.until is None if run is None else a.run <= run and (a.until is None or a.until > run)
            for a in self.absences[name, key]
        )


def _oracle(table: WarehouseTable) -> str:
    return f"SELECT {column_list(table.column_names)} FROM ({table.reference_query}) AS expected"


def _possible(table: WarehouseTable, sight: Sight) -> Rows:
    required = [number for number, column in enumerate(table.columns) if not column.nullable]
    return {key: row for key, row in sight[table.name].items() if all(row[n] is not None for n in required)}


@dataclass(frozen=True)
class Found:
    """What a warehouse holds, in the form of an `Expectation`."""

    dsn: str
    model: Model

    async def check(self, expected: Expectation) -> None:
        """Assert that it holds exactly what is expected: every version, what is current, at each moment, deleted."""
        async with connect("The warehouse", self.dsn) as connection:
            for dimension in self.model.dimensions:
                assert isinstance(dimension, Dimension)
                rows = await connection.fetch(
                    f"SELECT {column_list(dimension.column_names)} FROM {qualified('warehouse', dimension.name)}"
                )
                assert {row[dimension.only_key]: tuple(row) for row in rows} == expected.dimensions[dimension.name]
            runs = await connection.fetch("SELECT run, snapshot_time FROM etl.run ORDER BY run")
            for fact in self.model.facts:
                names = column_list(fact.column_names)
                versions: dict[int, list[Values]] = defaultdict(list)
                for row in await connection.fetch(
                    f"SELECT {names} FROM {qualified('warehouse', fact.name)} ORDER BY {fact.record_id}"
                ):
                    versions[row[fact.only_key]].append(tuple(row))
                assert versions == expected.all_versions(fact), f"versions of {fact.name}"
                current = await connection.fetch(f"SELECT {names} FROM {qualified('warehouse', fact.current)}")
                assert {tuple(row) for row in current} == expected.current(fact), f"current rows of {fact.name}"
                for run, moment in runs:
                    as_of = await connection.fetch(f"SELECT {names} FROM warehouse.{fact.as_of}($1)", moment)
                    assert {tuple(row) for row in as_of} == expected.current(fact, run), f"{fact.name} as of run {run}"
            deleted = await connection.fetch("SELECT table_name, id, run, returned_run FROM etl.deletion")
            assert {tuple(row) for row in deleted} == expected.deletions()
            assert await connection.fetchval("SELECT count(*) FROM etl.orphan") == expected.waiting()
