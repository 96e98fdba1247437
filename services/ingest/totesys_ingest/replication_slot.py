"""The replication slot that keeps the source's log for ingest: its state, its life, and the messages that it gives."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

from totesys.connection import Connection
from totesys.sql import ident, literal
from totesys.transactions import LSN, least_lsn, show_lsn

PLUGIN = "pgoutput"

# A new slot waits for the transactions in progress. If one is open for longer, a later tick makes the slot.
_CREATION_TIMEOUT = "1s"
# Of a long row, the bytes that may hold the key.
_ROW_BYTES = 8192
_MESSAGES_PER_FETCH = 10_000

# `to_jsonb`, because older servers lack columns: 14 has no `conflicting`, 16 no `invalidation_reason`.
_STATE = f"""
SELECT s.slot_name IS NOT NULL AS exists, current_setting('wal_level') AS wal_level,
       s.plugin = '{PLUGIN}' AND s.database = current_database() AND NOT s.temporary AS fits, s.active,
       s.confirmed_flush_lsn - '0/0' AS confirmed, s.restart_lsn - '0/0' AS kept_from, {LSN} AS lsn,
       CASE WHEN NOT pg_is_in_recovery() THEN (pg_current_wal_flush_lsn() - '0/0')::bigint END AS flushed,
       coalesce(to_jsonb(s) ->> 'invalidation_reason',
                CASE WHEN s.wal_status = 'lost' OR (to_jsonb(s) ->> 'conflicting')::boolean THEN 'lost' END) AS lost
FROM (SELECT $1::name AS wanted) AS w LEFT JOIN pg_replication_slots AS s ON s.slot_name = w.wanted"""

# Rows come after the BEGIN of their transaction, which comes in the order of commits.
_PEEK = f"""
SELECT CASE WHEN get_byte(data, 0) IN (68, 73, 85) THEN substr(data, 1, {_ROW_BYTES}) ELSE data END AS data
FROM pg_logical_slot_peek_binary_changes(
    $1, $2::text::pg_lsn, NULL, 'proto_version', '1', 'publication_names', $3)
WHERE get_byte(data, 0) IN (66, 68, 73, 82, 84, 85)"""

_FLUSHED = "SELECT (pg_current_wal_flush_lsn() - '0/0')::bigint"
# The only statement by which a role without rights to write can flush the log. It commits a record of a few bytes.
_FLUSH = "SELECT pg_logical_emit_message(true, 'totesys', '')"


@dataclass(frozen=True)
class SlotState:
    """A slot as the server has it. Positions are in bytes of the log.

    `fits` means that it decodes this database by `pgoutput`. `lost` is why the server gave it up.
    """

    exists: bool
    wal_level: str
    lsn: int
    flushed: int | None = None
    fits: bool = False
    active: bool = False
    confirmed: int = 0
    kept_from: int = 0
    lost: str | None = None

    @property
    def retained_bytes(self) -> int:
        """How much of the log the server keeps for the slot."""
        return max(0, self.lsn - self.kept_from) if self.exists and not self.lost and self.kept_from else 0


@dataclass(frozen=True)
class Slot:
    """A replication slot by name, on a connection. Methods raise asyncpg.PostgresError."""

    connection: Connection
    name: str
    publication: str

    async def state(self) -> SlotState:
        """The slot's state now."""
        row = await self.connection.fetchrow(_STATE, self.name)
        assert row is not None
        if not row["exists"]:
            return SlotState(False, row["wal_level"], row["lsn"], row["flushed"])
        return SlotState(**{**row, **{name: int(row[name] or 0) for name in ("confirmed", "kept_from")}})

    async def create(self) -> int:
        """Create the slot. Returns the position from which it has everything."""
        await self.connection.execute(f"SET lock_timeout = '{_CREATION_TIMEOUT}'")
        try:
            query = "SELECT (lsn - '0/0')::bigint FROM pg_create_logical_replication_slot($1, $2)"
            return int(await self.connection.fetchval(query, self.name, PLUGIN))
        finally:
            await self.connection.execute("RESET lock_timeout")

    async def drop(self) -> None:
        """Drop the slot."""
        await self.connection.execute("SELECT pg_drop_replication_slot($1)", self.name)

    async def advance(self, lsn: int) -> None:
        """Let the server give up the log before `lsn`, as far as the slot needs it."""
        position = literal(show_lsn(lsn))
        await self.connection.execute(f"SELECT pg_replication_slot_advance({literal(self.name)}, {position})")

    async def messages(self, upto: int) -> AsyncIterator[list[bytes]]:
        """Batches of the messages of all transactions whose commit begins before `upto`, without consuming them.

        Needs a transaction. The server decodes everything before it sends the first message, and keeps what does not
        fit into its `work_mem` in a temporary file.
        """
        parameters = self.name, show_lsn(upto), ident(self.publication)
        cursor = await self.connection.cursor(_PEEK, *parameters)
        while rows := await cursor.fetch(_MESSAGES_PER_FETCH):
            yield [row["data"] for row in rows]


async def is_flushed(connection: Connection, upto: int) -> bool:
    """Whether the log is on disk up to `upto`. A snapshot shows an asynchronous commit before that is decoded."""
    return int(await connection.fetchval(_FLUSHED)) >= least_lsn(upto)


async def flush_log(connection: Connection) -> None:
    """Flush the source's log; no standby is waited for. `connection` is used for nothing else."""
    await connection.execute(f"SET synchronous_commit = local; {_FLUSH}")
