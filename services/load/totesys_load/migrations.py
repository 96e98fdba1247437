"""How the ledger has come to be what it is: numbered steps, each done once and recorded in `etl.migration`.

A release adds steps and changes none. A step adds: the release before goes on with what is there then.
"""

from totesys.connection import Connection
from totesys.schema import ETL

# Which runs are in the warehouse, and what each wrote. Releases without this record have it already, or a part of it.
_FIRST = f"""
CREATE SCHEMA IF NOT EXISTS {ETL};
CREATE TABLE IF NOT EXISTS {ETL}.run (
    lake uuid, run bigint, previous bigint NOT NULL, extraction bigint NOT NULL, complete boolean NOT NULL,
    snapshot_time timestamptz NOT NULL, rows_written bigint NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    trigger text, source text, xmin_after bigint, swept boolean,
    PRIMARY KEY (lake, run));
CREATE TABLE IF NOT EXISTS {ETL}.run_table (
    lake uuid, run bigint, table_name text, rows_read bigint NOT NULL, rows_written bigint NOT NULL,
    rows_quarantined bigint NOT NULL, first_record_id bigint, last_record_id bigint,
    rows_deleted bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (lake, run, table_name), FOREIGN KEY (lake, run) REFERENCES {ETL}.run ON DELETE CASCADE);
CREATE TABLE IF NOT EXISTS {ETL}.deletion (
    table_name text, id bigint, lake uuid, run bigint, deleted_at timestamptz NOT NULL,
    returned_run bigint, returned_at timestamptz,
    PRIMARY KEY (table_name, id, lake, run), FOREIGN KEY (lake, run) REFERENCES {ETL}.run ON DELETE CASCADE);
CREATE UNIQUE INDEX IF NOT EXISTS deletion_open ON {ETL}.deletion (table_name, id) WHERE returned_run IS NULL;
CREATE TABLE IF NOT EXISTS {ETL}.orphan (
    table_name text, record_id bigint, id bigint NOT NULL, lake uuid NOT NULL, run bigint NOT NULL,
    reasons text[] NOT NULL, row jsonb NOT NULL,
    PRIMARY KEY (table_name, record_id), FOREIGN KEY (lake, run) REFERENCES {ETL}.run ON DELETE CASCADE);
CREATE INDEX IF NOT EXISTS orphan_id ON {ETL}.orphan (table_name, id);
ALTER TABLE {ETL}.run_table ADD COLUMN IF NOT EXISTS rows_deleted bigint NOT NULL DEFAULT 0;
ALTER TABLE {ETL}.run ADD COLUMN IF NOT EXISTS trigger text, ADD COLUMN IF NOT EXISTS source text,
    ADD COLUMN IF NOT EXISTS xmin_after bigint, ADD COLUMN IF NOT EXISTS swept boolean;
COMMENT ON TABLE {ETL}.run IS 'The runs that are in the warehouse; source and xmin_after say which snapshot';
COMMENT ON TABLE {ETL}.run_table IS 'What each run wrote; of a fact, the range of record ids';
COMMENT ON TABLE {ETL}.deletion IS 'Ids that a snapshot had no more, until returned_at';
COMMENT ON TABLE {ETL}.orphan IS 'Fact versions that wait for a dimension row, each with its record id';
"""

_HIGH_WATER_MARK = f"""
ALTER TABLE {ETL}.run ADD COLUMN IF NOT EXISTS high_water_mark jsonb, ADD COLUMN IF NOT EXISTS position jsonb;
COMMENT ON TABLE {ETL}.run IS 'The runs in the warehouse; source, position and high_water_mark say which snapshot';
"""

# Which run brought each dimension's keys last, so that an earlier one that is done again writes over none of them; and
# what keeps a look at the ledger from going through all runs.
_LAST_KEYS = f"""
CREATE TABLE IF NOT EXISTS {ETL}.dimension_key (
    table_name text, first_key bigint NOT NULL, last_key bigint, lake uuid NOT NULL, run bigint NOT NULL,
    PRIMARY KEY (table_name, last_key), FOREIGN KEY (lake, run) REFERENCES {ETL}.run ON DELETE CASCADE);
ALTER TABLE {ETL}.run_table ADD COLUMN IF NOT EXISTS keys_noted boolean NOT NULL DEFAULT false;
CREATE INDEX IF NOT EXISTS run_snapshots ON {ETL}.run (snapshot_time, run);
CREATE INDEX IF NOT EXISTS run_table_runs ON {ETL}.run_table (table_name, lake, run);
CREATE INDEX IF NOT EXISTS run_table_record_ids ON {ETL}.run_table (table_name, last_record_id, first_record_id);
CREATE INDEX IF NOT EXISTS run_table_quarantined ON {ETL}.run_table (table_name) WHERE rows_quarantined > 0;
CREATE INDEX IF NOT EXISTS run_table_not_noted ON {ETL}.run_table (table_name, lake, run) WHERE NOT keys_noted;
COMMENT ON TABLE {ETL}.dimension_key IS 'The run that brought a dimension''s keys last, from first_key to last_key';
"""

_RECORD = f"""
CREATE SCHEMA IF NOT EXISTS {ETL};
CREATE TABLE IF NOT EXISTS {ETL}.migration (
    number integer PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT clock_timestamp());
COMMENT ON TABLE {ETL}.migration IS 'The steps that made this schema what it is';
"""

MIGRATIONS = (_FIRST, _HIGH_WATER_MARK, _LAST_KEYS)
LEDGER = "".join(MIGRATIONS)


async def migrate(connection: Connection, *, recorded: bool) -> None:
    """Take the steps that are missing, within the caller's transaction; `recorded`: `etl.migration` is there."""
    done = await connection.fetchval(f"SELECT coalesce(max(number), 0) FROM {ETL}.migration") if recorded else 0
    if done >= len(MIGRATIONS):
        return
    await connection.execute(_RECORD)
    for number, step in enumerate(MIGRATIONS[done:], done + 1):
        await connection.execute(step)
        await connection.execute(f"INSERT INTO {ETL}.migration (number) VALUES ($1)", number)
