"""What the warehouse must hold, by the log that the source keeps, against what it holds."""

from collections import Counter, defaultdict
from dataclasses import dataclass

from tests.faults.audited import FACT_AUDIT, Version, versions
from totesys.connection import Connection
from totesys.model import MODEL as COMPANY
from totesys.sql import column_list, ident
from totesys.table import Fact

# A version of a fact in the warehouse: the run that brought it, and its values.
Arrived = tuple[int, tuple[object, ...]]


@dataclass(frozen=True)
class Deviation:
    """Fact versions that are not there, and versions that are there and should not be."""

    lost: int
    double: int
    examples: tuple[str, ...] = ()

    def __add__(self, other: "Deviation") -> "Deviation":
        return Deviation(self.lost + other.lost, self.double + other.double, (*self.examples, *other.examples)[:5])


async def deviation(source: Connection, warehouse: Connection) -> Deviation:
    """Compare every fact version, with the run that brought it. The source must be at rest and all of it loaded."""
    committed = [(row[0],) for row in await source.fetch("SELECT audit_id FROM audit")]
    log = await _arrived(warehouse, FACT_AUDIT)
    place = FACT_AUDIT.column_names.index(FACT_AUDIT.only_key)
    found = _compare("fact_audit", Counter(committed), Counter((values[place],) for _, values in log))
    runs = {values[place]: run for run, values in log}
    for fact in COMPANY.facts:
        expected = await _expected(source, fact, runs)
        found += _compare(fact.name, Counter(expected), Counter(await _arrived(warehouse, fact)))
    return found


def _compare(name: str, expected: Counter[tuple[object, ...]], found: Counter[tuple[object, ...]]) -> Deviation:
    lost, double = expected - found, found - expected
    examples = [f"{name} lacks {one}" for one in lost] + [f"{name} has besides {one}" for one in double]
    return Deviation(lost.total(), double.total(), tuple(examples[:5]))


async def _expected(source: Connection, fact: Fact, runs: dict[object, int]) -> list[Arrived]:
    """Of each run and key the newest version that its snapshot saw, unless it is the one before."""
    place = fact.column_names.index(fact.only_key)
    newest: dict[tuple[int, object], Version] = {}
    for version in await versions(source, fact):
        if (run := runs.get(version.audit_id)) is not None:
            newest[run, version.values[place]] = version
    shown: dict[object, tuple[object, ...]] = defaultdict(tuple)
    expected: list[Arrived] = []
    for (run, key), version in sorted(newest.items(), key=lambda item: item[0][0]):
        if version.possible and shown[key] != version.values:
            expected.append((run, version.values))
            shown[key] = version.values
    return expected


async def _arrived(warehouse: Connection, fact: Fact) -> list[Arrived]:
    rows = await warehouse.fetch(
        f"SELECT t.run, {column_list(fact.column_names, 'f')} FROM warehouse.{ident(fact.name)} AS f "
        f"LEFT JOIN etl.run_table AS t ON t.table_name = $1 "
        f"AND f.{ident(fact.record_id)} BETWEEN t.first_record_id AND t.last_record_id",
        fact.name,
    )
    return [(row[0], tuple(row)[1:]) for row in rows]
