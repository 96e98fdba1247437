"""Which keys changed, of the messages of the source's log that a snapshot sees. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from totesys.table import SourceTable
from totesys_ingest import pgoutput
from totesys_ingest.pgoutput import UnreadableKey

# With more changed keys, one scan of a table costs less than looking its rows up, and memory is bounded.
MOST_KEYS = 200_000


@dataclass(frozen=True)
class VisibleTransactions:
    """The transactions that a snapshot sees: those before `xmax`, except those `in_progress`. Ids have 64 bits."""

    xmax: int
    in_progress: frozenset[int]

    @classmethod
    def parse(cls, snapshot: str) -> "VisibleTransactions":
        """From the text of a `pg_snapshot`: `xmin:xmax:id,id`."""
        _, xmax, ids = snapshot.split(":")
        return cls(int(xmax), frozenset(map(int, filter(None, ids.split(",")))))

    def sees(self, xid: int) -> bool:
        """Whether the snapshot sees a committed transaction, by its 32-bit id.

        Transactions in the log are less than half a circle of ids away from the snapshot.
        """
        ahead = (xid - self.xmax) % 2**32
        if ahead < 2**31:
            return False
        return self.xmax - (2**32 - ahead) not in self.in_progress


@dataclass
class TableChanges:
    """What changed in a table: the keys of written rows, and the keys that rows no longer have or may have lost.

    With `scan`, the log does not name all written rows, so the table has to be scanned for them. With `sweep`, it does
    not name all lost keys, so the table's keys have to be compared.
    """

    written: set[int] = field(default_factory=set)
    lost: set[int] = field(default_factory=set)
    scan: bool = False
    sweep: bool = False


@dataclass
class ChangedKeys:
    """Collects the changes of the tables, by the ids of their relations, that the snapshot sees.

    `first_unseen` is where the commit of the first transaction that the snapshot does not see begins in the log.
    """

    tables: Mapping[int, SourceTable]
    visible: VisibleTransactions
    changes: dict[str, TableChanges] = field(default_factory=dict)
    first_unseen: int | None = None
    most_keys: int = MOST_KEYS
    _seen: bool = False
    _key_places: dict[int, int | None] = field(default_factory=dict)

    def add_all(self, messages: Iterable[bytes]) -> None:
        """Add messages, in the order of the log."""
        for message in messages:
            self.add(message)

    def add(self, message: bytes) -> None:
        """Add the next message of the log."""
        kind = message[0]
        if kind == pgoutput.BEGIN:
            self._begin(pgoutput.read_begin(message))
        elif kind == pgoutput.RELATION:
            self._describe(pgoutput.read_relation(message))
        elif not self._seen:
            return
        elif kind == pgoutput.TRUNCATE:
            for relation in pgoutput.read_truncate(message):
                if table := self.tables.get(relation):
                    self._of(table).sweep = True
        else:
            relation = pgoutput.relation_of(message)
            if table := self.tables.get(relation):
                self._change(table, self._key_places.get(relation), message)

    def _begin(self, begin: pgoutput.Begin) -> None:
        self._seen = self.visible.sees(begin.xid)
        if not self._seen and self.first_unseen is None:
            self.first_unseen = begin.commit_lsn

    def _describe(self, relation: pgoutput.Relation) -> None:
        table = self.tables.get(relation.id)
        # Rows are looked up, and deletions found, by integer keys only.
        if table and table.has_integer_key and table.only_key in relation.columns:
            self._key_places[relation.id] = relation.columns.index(table.only_key)
        else:
            self._key_places[relation.id] = None

    def _change(self, table: SourceTable, place: int | None, message: bytes) -> None:
        changes = self._of(table)
        try:
            if place is None:
                raise UnreadableKey
            change = pgoutput.read_change(message, place)
            old, new = (None if key is None else int(key) for key in (change.old, change.new))
        except (UnreadableKey, ValueError):
            changes.scan = True
            changes.sweep |= message[0] != pgoutput.INSERT
            return
        if new is not None and not changes.scan:
            changes.written.add(new)
            changes.scan = len(changes.written) > self.most_keys
        if old is not None and not changes.sweep:
            changes.lost.add(old)
            changes.sweep = len(changes.lost) > self.most_keys

    def _of(self, table: SourceTable) -> TableChanges:
        return self.changes.setdefault(table.name, TableChanges())
