"""Sessions that change a source at the same time, in an order that a seed decides."""

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random

from totesys.connection import Connection
from totesys.schema import Model, sorted_by_references
from totesys.sql import column_list, ident
from totesys.table import Capture, Column, SourceTable
from totesys.types import INTEGER, TIMESTAMP

# Few values, so that rows come back to earlier ones.
NUMBERS = (0, 1, 2)
TEXTS = ("", "a", "A", ' "b",\n')
NOON = datetime.fromisoformat("2026-03-02T12:00:00")

Row = tuple[str, int]


@dataclass
class Session:
    """A connection, and while a transaction is open, the rows that it has locked and those that it has made."""

    connection: Connection
    open: bool = False
    locked: set[Row] = field(default_factory=set)
    made: list[Row] = field(default_factory=list)


class Writers:
    """Inserts and updates rows of any model's source. What a session has locked, only that session changes."""

    def __init__(self, model: Model, random: Random, connections: list[Connection]) -> None:
        self._tables = sorted_by_references(model.sources)
        self._random = random
        self._sessions = [Session(connection) for connection in connections]
        # What each row committed has been, for it may become that again.
        self._earlier: dict[Row, list[dict[str, object]]] = defaultdict(list)
        self._free_keys = random.sample(range(1, 1_000_000), 10_000)
        self._committed: dict[str, list[int]] = {table.name: [] for table in self._tables}

    async def fill(self, rows: int) -> None:
        """Commit some rows of every table, more of those that are captured as changes."""
        session = self._sessions[0]
        await self._begin(session)
        for table in self._tables:
            for _ in range(rows if table.capture is Capture.INCREMENTAL else 3):
                await self._insert(session, table)
        await self._end(session, "COMMIT")

    async def act(self) -> None:
        """One thing that some session does."""
        session = self._random.choice(self._sessions)
        await self._random.choices(
            [self._change, self._commit, self._roll_back, self._roll_back_a_part, self._begin], [12, 3, 1, 2, 4]
        )[0](session)

    async def end(self) -> None:
        """Commit or roll back what is open."""
        for session in self._sessions:
            await self._random.choice([self._commit, self._roll_back])(session)

    async def _begin(self, session: Session) -> None:
        if not session.open:
            await session.connection.execute("BEGIN")
            session.open = True

    async def _commit(self, session: Session) -> None:
        await self._end(session, "COMMIT")

    async def _roll_back(self, session: Session) -> None:
        await self._end(session, "ROLLBACK")

    async def _end(self, session: Session, statement: str) -> None:
        if not session.open:
            return
        await session.connection.execute(statement)
        if statement == "COMMIT":
            for name, key in session.made:
                self._committed[name].append(key)
        session.open = False
        session.locked.clear()
        session.made.clear()

    async def _roll_back_a_part(self, session: Session) -> None:
        """A transaction of a part of which nothing is left; sometimes the part is kept."""
        await self._begin(session)
        made = list(session.made)
        await session.connection.execute("SAVEPOINT part")
        for _ in range(self._random.randint(1, 3)):
            await self._change(session)
        if self._random.random() < 0.6:
            await session.connection.execute("ROLLBACK TO part")
            session.made = made
        else:
            await session.connection.execute("RELEASE part")

    async def _change(self, session: Session) -> None:
        table = self._random.choices(
            self._tables, [4 if t.capture is Capture.INCREMENTAL else 1 for t in self._tables]
        )[0]
        if self._random.random() < 0.15:
            await self._insert(session, table)
        else:
            await self._update(session, table)

    async def _insert(self, session: Session, table: SourceTable) -> None:
        row = table.name, self._free_keys.pop()
        values = [row[1] if c.name == table.only_key else self._value(session, c) for c in table.columns]
        places = ", ".join(f"${number}" for number in range(1, len(values) + 1))
        await session.connection.execute(
            f"INSERT INTO {ident(table.name)} ({column_list(table.column_names)}) VALUES ({places})", *values
        )
        if session.open:
            session.locked.add(row)
            session.made.append(row)
        else:
            self._committed[table.name].append(row[1])

    async def _update(self, session: Session, table: SourceTable) -> None:
        keys = [
            key for key in self._keys(session, table.name) if not self._locked_by_another(session, (table.name, key))
        ]
        if not keys:
            return
        # The newest rows nearly always, so that some change again and again.
        key = keys[-1 - int(len(keys) * self._random.random() ** 8)]
        earlier = self._earlier[table.name, key]
        if (table.name, key) not in session.locked:
            query = f"SELECT * FROM {ident(table.name)} WHERE {ident(table.only_key)} = $1"
            earlier.append(dict(await session.connection.fetchrow(query, key) or {}))
        back = earlier and self._random.random() < 0.4
        changed = self._random.choice(earlier) if back else self._changed(session, table)
        values = {table.only_key: key, **changed}
        assignments = ", ".join(f"{ident(name)} = ${number}" for number, name in enumerate(values, start=1))
        await session.connection.execute(
            f"UPDATE {ident(table.name)} SET {assignments} WHERE {ident(table.only_key)} = $1", *values.values()
        )
        if session.open:
            session.locked.add((table.name, key))

    def _changed(self, session: Session, table: SourceTable) -> dict[str, object]:
        columns = [c for c in table.columns if c.name != table.only_key and self._random.random() < 0.5]
        return {column.name: self._value(session, column) for column in columns}

    def _value(self, session: Session, column: Column) -> object:
        if column.references:
            return self._random.choice(self._keys(session, column.references))
        if column.nullable and self._random.random() < 0.3:
            return None
        if column.type == TIMESTAMP:
            return NOON + timedelta(milliseconds=self._random.randint(-5, 5))
        return self._random.choice(NUMBERS if column.type == INTEGER else TEXTS)

    def _keys(self, session: Session, table: str) -> list[int]:
        """The keys that the session sees."""
        return self._committed[table] + [key for name, key in session.made if name == table]

    def _locked_by_another(self, session: Session, row: Row) -> bool:
        return any(row in other.locked for other in self._sessions if other is not session)
