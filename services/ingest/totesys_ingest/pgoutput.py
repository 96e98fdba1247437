"""Reads the messages of Postgres' output plugin `pgoutput`, protocol version 1. Pure.

Only what capture needs: transactions, tables, and the value of one column, the key, of each changed row. The format is
in the documentation of Postgres, "Logical Replication Message Formats".
"""

import struct
from dataclasses import dataclass

BEGIN, RELATION, INSERT, UPDATE, DELETE, TRUNCATE = (ord(letter) for letter in "BRIUDT")

_BEGIN = struct.Struct(">xQqI")
_ID = struct.Struct(">xI")
_COUNT = struct.Struct(">H")
_LENGTH = struct.Struct(">I")
_TRUNCATE = struct.Struct(">xIB")
_OLD_TUPLES, _NEW_TUPLE = b"KO", b"N"
# The table's id and the letter of the first row follow the type of a message.
_FIRST_ROW = 5


class UnreadableKey(Exception):
    """A message does not carry the key: it was cut off, or the replica identity is another column."""


@dataclass(frozen=True, slots=True)
class Begin:
    """The beginning of a committed transaction: its 32-bit id, and where its commit begins in the log."""

    commit_lsn: int
    xid: int


@dataclass(frozen=True, slots=True)
class Relation:
    """A table as the following messages have it."""

    id: int
    columns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Change:
    """The key of a changed row: `old` where the row was deleted or the key changed, `new` where there is a row now."""

    old: str | None
    new: str | None


def read_begin(data: bytes) -> Begin:
    """A BEGIN message."""
    commit_lsn, _, xid = _BEGIN.unpack_from(data)
    return Begin(commit_lsn, xid)


def read_relation(data: bytes) -> Relation:
    """A RELATION message."""
    schema_end = data.index(0, _ID.size)
    name_end = data.index(0, schema_end + 1)
    # The letter of the replica identity comes before the number of columns.
    (count,) = _COUNT.unpack_from(data, name_end + 2)
    place, columns = name_end + 4, []
    for _ in range(count):
        end = data.index(0, place + 1)
        columns.append(data[place + 1 : end].decode())
        # The ids of its type follow.
        place = end + 9
    return Relation(relation_of(data), tuple(columns))


def read_truncate(data: bytes) -> tuple[int, ...]:
    """The ids of the tables in a TRUNCATE message."""
    count, _ = _TRUNCATE.unpack_from(data)
    return struct.unpack_from(f">{count}I", data, _TRUNCATE.size)


def relation_of(data: bytes) -> int:
    """The table of a RELATION, INSERT, UPDATE or DELETE message."""
    return int(_ID.unpack_from(data)[0])


def read_change(data: bytes, place: int) -> Change:
    """The keys in an INSERT, UPDATE or DELETE message; `place` is the number of the key's column, from 0.

    Raises UnreadableKey.
    """
    try:
        letter = data[_FIRST_ROW : _FIRST_ROW + 1]
        if data[0] == DELETE:
            return Change(_value(data, _FIRST_ROW + 1, place), None)
        if letter == _NEW_TUPLE:
            return Change(None, _value(data, _FIRST_ROW + 1, place))
        if letter not in _OLD_TUPLES:
            raise UnreadableKey
        old = _value(data, _FIRST_ROW + 1, place)
        new = _value(data, _end_of_row(data, _FIRST_ROW + 1) + 1, place)
        return Change(old, new)
    except (struct.error, IndexError, UnicodeDecodeError):
        raise UnreadableKey from None


def _value(data: bytes, start: int, place: int) -> str:
    """The value of a column of the row that begins at `start`."""
    (count,) = _COUNT.unpack_from(data, start)
    if place >= count:
        raise UnreadableKey
    at = start + _COUNT.size
    for _ in range(place):
        at = _after_column(data, at)
    if data[at : at + 1] != b"t":
        raise UnreadableKey
    end = _after_column(data, at)
    if end > len(data):
        raise UnreadableKey
    return data[at + 5 : end].decode()


def _end_of_row(data: bytes, start: int) -> int:
    (count,) = _COUNT.unpack_from(data, start)
    at = start + _COUNT.size
    for _ in range(count):
        at = _after_column(data, at)
    return at


def _after_column(data: bytes, at: int) -> int:
    # NULL and an unchanged TOAST value have no bytes.
    if data[at] in b"nu":
        return at + 1
    (length,) = _LENGTH.unpack_from(data, at + 1)
    return at + 5 + int(length)
