"""The messages of `pgoutput` are read as Postgres documents them, wherever a long one was cut off."""

import struct
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.examples import examples
from totesys.table import Capture, Column, SourceTable
from totesys.types import INTEGER, TEXT
from totesys_ingest import pgoutput
from totesys_ingest.changed_keys import ChangedKeys, TableChanges, VisibleTransactions
from totesys_ingest.pgoutput import UnreadableKey

KEYS = st.integers(-(2**63), 2**63 - 1)
TABLE = SourceTable("sale", (Column("note", TEXT), Column("id", INTEGER)), key="id", capture=Capture.INCREMENTAL)
SHOP = SourceTable("shop", (Column("code", TEXT),), key="code")
# None is NULL, and Ellipsis an unchanged TOAST value.
VALUES = st.one_of(st.none(), st.just(...), st.text())


def begin(xid: int, lsn: int = 1) -> bytes:
    return b"B" + struct.pack(">QqI", lsn, 0, xid)


def relation(number: int, *columns: str) -> bytes:
    described = b"".join(b"\x01" + column.encode() + b"\0" + struct.pack(">Ii", 23, -1) for column in columns)
    return b"R" + struct.pack(">I", number) + b"public\0sale\0d" + struct.pack(">H", len(columns)) + described


def row(*values: object) -> bytes:
    def column(value: object) -> bytes:
        if value is None:
            return b"n"
        if value is ...:
            return b"u"
        text = str(value).encode("utf-8", "surrogatepass")
        return b"t" + struct.pack(">I", len(text)) + text

    return struct.pack(">H", len(values)) + b"".join(map(column, values))


def change(letter: bytes, number: int, *tuples: tuple[bytes, bytes]) -> bytes:
    return letter + struct.pack(">I", number) + b"".join(kind + values for kind, values in tuples)


@dataclass
class Written:
    """A message, and the keys in it."""

    message: bytes
    old: int | None
    new: int | None


@st.composite
def changes(draw: st.DrawFn) -> Written:
    before = draw(st.lists(VALUES, max_size=3))
    after = draw(st.lists(VALUES, max_size=3))
    old, new = draw(KEYS), draw(KEYS)
    old_row = (draw(st.sampled_from([b"K", b"O"])), row(*before, old, *after))
    new_row = (b"N", row(*before, new, *after))
    kinds = [
        Written(change(b"I", 7, new_row), None, new),
        Written(change(b"U", 7, new_row), None, new),
        Written(change(b"U", 7, old_row, new_row), old, new),
        Written(change(b"D", 7, old_row), old, None),
    ]
    written = draw(st.sampled_from(kinds))
    written.message = bytes([len(before)]) + written.message
    return written


@given(written=changes(), end=st.integers(0, 200))
@examples(200)
def test_a_change_gives_its_keys_and_where_it_was_cut_off_too_early_none(written: Written, end: int) -> None:
    place, message = written.message[0], written.message[1:]
    found = pgoutput.read_change(message, place)
    assert (found.old, found.new) == (written.old and str(written.old), written.new and str(written.new)) or 0 in (
        written.old,
        written.new,
    )
    try:
        assert pgoutput.read_change(message[: 6 + end], place) == found
    except UnreadableKey:
        assert 6 + end < len(message)


@given(columns=st.lists(st.text(st.characters(exclude_characters="\0", codec="utf-8"), min_size=1), max_size=5))
@examples(50)
def test_a_table_has_the_columns_that_its_message_names(columns: list[str]) -> None:
    assert pgoutput.read_relation(relation(9, *columns)) == pgoutput.Relation(9, tuple(columns))


@given(next_=st.integers(2**31, 2**40), age=st.integers(-(2**31) + 1, 2**31 - 1), in_progress=st.booleans())
@examples(200)
def test_a_snapshot_sees_a_transaction_whatever_the_epoch_of_its_id(next_: int, age: int, in_progress: bool) -> None:
    """`age` is how long ago the transaction began; a negative one begins after the snapshot."""
    xid = next_ - age
    others = ",".join(map(str, [xid] if in_progress else []))
    visible = VisibleTransactions.parse(f"{min(xid, next_)}:{next_}:{others}")
    assert visible.sees(xid % 2**32) == (age > 0 and not in_progress)


def collected(*messages: bytes, most_keys: int = 100) -> ChangedKeys:
    visible = VisibleTransactions(1000, frozenset({900}))
    found = ChangedKeys({7: TABLE, 8: SHOP}, visible, most_keys=most_keys)
    found.add_all(messages)
    return found


def test_only_transactions_that_the_snapshot_sees_count_and_the_first_other_one_limits_the_slot() -> None:
    """A table that is described in a transaction that does not count is known in the next."""
    found = collected(
        begin(900, 50),
        relation(7, "note", "id"),
        change(b"I", 7, (b"N", row("a", 1))),
        begin(800, 60),
        change(b"I", 7, (b"N", row("a", 2))),
        change(b"U", 7, (b"K", row(None, 2)), (b"N", row("a", 3))),
        begin(1001, 70),
        change(b"D", 7, (b"K", row(None, 3))),
    )
    assert found.changes == {"sale": TableChanges(written={2, 3}, lost={2})}
    assert found.first_unseen == 50


@pytest.mark.parametrize(
    ("messages", "expected"),
    [
        ([b"T" + struct.pack(">IBII", 2, 0, 7, 99)], {"sale": TableChanges(sweep=True)}),
        ([change(b"I", 99, (b"N", row(1)))], {}),
        ([change(b"D", 8, (b"K", row("a")))], {"shop": TableChanges(scan=True, sweep=True)}),
        ([change(b"D", 7, (b"K", row("a", None)))], {"sale": TableChanges(scan=True, sweep=True)}),
        ([change(b"I", 7, (b"N", row("a" * 99, 5)))[:50]], {"sale": TableChanges(scan=True)}),
        ([relation(7, "note", "other"), change(b"I", 7, (b"N", row("a", 5)))], {"sale": TableChanges(scan=True)}),
    ],
    ids=["truncate", "undeclared table", "text key", "another replica identity", "cut off", "renamed key"],
)
def test_what_the_log_does_not_name_is_scanned_for(messages: list[bytes], expected: dict[str, TableChanges]) -> None:
    assert collected(begin(800), relation(7, "note", "id"), *messages).changes == expected


def test_a_transaction_of_any_size_takes_bounded_memory() -> None:
    inserts = [change(b"I", 7, (b"N", row("a", key))) for key in range(1000)]
    deletes = [change(b"D", 7, (b"K", row(None, key))) for key in range(1000)]
    found = collected(begin(800), relation(7, "note", "id"), *inserts, *deletes, most_keys=10).changes["sale"]
    assert (found.scan, found.sweep) == (True, True)
    assert max(len(found.written), len(found.lost)) == 11
