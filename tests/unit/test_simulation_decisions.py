"""The seed alone decides what the simulated company does."""

from datetime import datetime

from totesys_simulation.decisions import (
    INSERTED,
    NUMBERED,
    REFERENCED,
    Decisions,
    Insert,
    Keys,
    PlannedTransaction,
    Update,
)
from totesys_simulation.worker import statements

NOON = datetime.fromisoformat("2026-03-02T12:00:00.123")
EVENTS = 3


def decide(seed: str, count: int) -> list[PlannedTransaction]:
    keys = Keys(
        referenced={table.name: [3, 5, 8] for table in REFERENCED},
        last={table.name: 100 for table in NUMBERED},
        free={table.name: list(range(100_000, 1_000, -1)) for table in INSERTED},
    )
    decisions = Decisions(seed, keys)
    return [decisions.transaction(NOON, EVENTS) for _ in range(count)]


def test_a_seed_decides_everything() -> None:
    assert decide("7", 200) == decide("7", 200)
    assert decide("7", 200) != decide("8", 200)


def test_everything_that_can_happen_happens() -> None:
    works = decide("7", 2_000)
    changes = [change for planned in works for change in planned.changes]
    updates = [change for change in changes if isinstance(change, Update)]
    assert {change.table for change in changes if isinstance(change, Insert)} == set(INSERTED)
    assert {len(update.values) for update in updates} >= {1, 2}
    assert any("last_updated" not in update.values for update in updates)
    assert any(not work.commits for work in works)
    assert any(work.undone for work in works)


def test_a_key_is_used_once() -> None:
    works = decide("7", 2_000)
    keys = [(c.table.name, c.row[0]) for w in works for c in (*w.changes, *w.undone) if isinstance(c, Insert)]
    assert len(keys) == len(set(keys))


def test_rows_are_written_after_those_that_they_refer_to() -> None:
    for work in decide("7", 200):
        written: set[str] = set()
        tables = [table for _, table, _ in statements(work.changes)]
        for table in tables:
            to_come = {other.name for other in tables} - written - {table.name}
            assert not to_come.intersection(column.references for column in table.columns if column.references)
            written.add(table.name)
