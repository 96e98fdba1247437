"""The log events: an API for alarms, the command and operators' queries.

Every line also has `timestamp`, `level` and `service`, and during a message `message_id` and `receives`. Names carry
their units: `_s` for seconds, `_bytes` for bytes. `rows`, `written`, `deleted` and `quarantined` are objects from table
name to number of rows. `next` says what happens next; `error` and `kind` are an error's message and class.
"""

from enum import StrEnum


class LogEvent(StrEnum):
    """The `event` of a log line: `noun_verb-past`. The docstring below each names its fields."""

    # A process
    SERVICE_LISTENING = "service_listening"
    """The HTTP port is open: `host`, `port`."""
    SERVICE_STARTED = "service_started"
    """The consumer receives messages."""
    SERVICE_START_FAILED = "service_start_failed"
    """A setting is missing or wrong; the process exits with 2: `error`, `kind`."""
    SERVICE_STOPPED = "service_stopped"
    """The process ends after SIGTERM or SIGINT."""
    SERVICE_CRASHED = "service_crashed"
    """An unexpected error ends the process: `error`, `kind`."""
    BACKGROUND_TASK_ENDED = "background_task_ended"
    """A background task died, so `/health` answers 503: `task`, `error`, `kind`."""
    HTTP_CONNECTION_CLOSED = "http_connection_closed"
    """The server closed a connection that sent no complete request: `reason`."""
    DEPENDENCIES_UNAVAILABLE = "dependencies_unavailable"
    """The consumer pauses until everything answers: `dependencies` (error by name), `waited_s`, `retry_s`."""
    DEPENDENCIES_RECOVERED = "dependencies_recovered"
    """Everything answers again, and the consumer goes on."""

    # A message
    QUEUE_FAILED = "queue_failed"
    """SQS refused a receive: `error`, `kind`."""
    MESSAGE_PROCESSED = "message_processed"
    """The work of a message is done and the message deleted."""
    MESSAGE_FAILED = "message_failed"
    """The work failed: `error`, `kind`, `next` (`again` or `dead-letter queue`), `retry_s` where it is retried."""
    MESSAGE_RELEASED = "message_released"
    """A service that stops made the message visible to other replicas."""
    MESSAGE_RELEASE_FAILED = "message_release_failed"
    """The message stays hidden until its visibility timeout ends: `error`, `next`."""
    VISIBILITY_EXTENSION_FAILED = "visibility_extension_failed"
    """Another replica may receive the message too, which changes nothing: `error`."""
    RECONCILIATION_FAILED = "reconciliation_failed"
    """Work on the default trigger failed: `error`, `kind`, `next`, `retry_s`."""
    TRIGGER_SENT = "trigger_sent"
    """The console queued a trigger: `stage`, `action`, `message_id`."""
    DEAD_LETTERS_REDRIVEN = "dead_letters_redriven"
    """The console sent dead letters back to their queue: `stage`, `messages`."""

    # Extraction
    EXTRACTION_STARTED = "extraction_started"
    """Ingest chose where to start; a warning if it has to extract everything: `everything`, `reason`, `capture`."""
    EXTRACTION_DEFERRED = "extraction_deferred"
    """Another extraction holds the lock. A tick ends here; an explicit request `waits`."""
    EXTRACTION_COMPLETED = "extraction_completed"
    """All runs of an extraction are committed: `runs`, `empty`, `duration_s`."""
    SLOT_MEASURED = "slot_measured"
    """How much of its log the source keeps for ingest, with the metric: `slot`, `retained_bytes`."""
    SLOT_CREATED = "slot_created"
    """Ingest created its replication slot: `slot`, `reason`."""
    SLOT_DROPPED = "slot_dropped"
    """Ingest dropped its replication slot: `slot`, `reason`, `retained_bytes`."""
    SLOT_CHANGE_FAILED = "slot_change_failed"
    """Ingest could not advance or drop its slot, so the source keeps more of its log than needed: `error`, `next`."""
    LOG_CAPTURE_SUSPENDED = "log_capture_suspended"
    """Ingest cannot read the source's log, logged once a process and reason: `reason`, `next`."""
    CONTRACT_BROKEN = "contract_broken"
    """The source has breaking changes, and ingest stops: `differences`."""
    SCHEMA_DRIFT_FOUND = "schema_drift_found"
    """The source has non-breaking changes, logged once a process: `differences`, `next`."""
    LONG_TRANSACTION_FOUND = "long_transaction_found"
    """A transaction on the source has been open for long: `holder`, `since`, `next`."""
    PART_DELETION_FAILED = "part_deletion_failed"
    """Parts of a failed extraction stay in the bucket, unused: `objects`, `error`, `next`."""
    UPLOAD_ABORT_FAILED = "upload_abort_failed"
    """An unfinished multipart upload stays until the lifecycle rule removes it: `key`, `error`, `next`."""

    # A run
    RUN_COMPLETED = "run_completed"
    """A stage committed a run, once per run and stage: `stage`, `run`, `duration_s`, `rows`.

    Ingest adds `complete` and `size_bytes`, transform `quarantined` and `left_out`, and load
    `complete`, `latency_s`, `written` and `deleted`.
    """
    RUN_SKIPPED = "run_skipped"
    """Load skipped a superseded run: `run`, `reason`."""
    RUN_DEFERRED = "run_deferred"
    """Load waits for an earlier run: `run`, `waiting_for`."""
    ROWS_QUARANTINED = "rows_quarantined"
    """Transform quarantined rows, or load set rows with unresolved references aside: `run`, `rows`."""
    TABLE_SKIPPED = "table_skipped"
    """A run has no values for a column declared since: `run`, `table`, `lacking`, `next`."""
    REFERENCES_RESOLVED = "references_resolved"
    """Rows were loaded because their dimension rows arrived: `run`, `table`, `rows`."""
    DELETED_ROWS_RESTORED = "deleted_rows_restored"
    """Keys that had been deleted in the source exist again: `run`, `table`, `rows`."""
    FAILURE_RECORDING_FAILED = "failure_recording_failed"
    """The lake has no record of a failure: `run`, `stage`, `failure`, `error`."""

    LOG_CHECKED = "log_checked"
    """A scan found no row that the source's log had not named: `run`."""
    MISSED_ROWS_FOUND = "missed_rows_found"
    """A scan found rows that the source's log had not named, and load wrote them; an error: `run`, `rows`."""

    # A replay
    REPLAY_STARTED = "replay_started"
    """Progress of a replay, once a minute: `first`, `last`, `run`."""
    REPLAY_RESUMED = "replay_resumed"
    """A replay goes on where it was interrupted: `first`, `last`, `after`."""
    RUN_REPLAYED = "run_replayed"
    """Load replayed a run: `run`, `written`."""
    NEW_RUNS_PAUSED = "new_runs_paused"
    """New runs fail during a replay and wait for its end: `error`, `next`."""
    LATER_KEYS_RECORDED = "later_keys_recorded"
    """Load recorded which dimension keys later runs wrote, so that a replay keeps them: `table`, `after`."""

    # The warehouse
    FRESHNESS_MEASURED = "freshness_measured"
    """How old what the warehouse shows is, with the metric: `snapshot_time`."""
    FRESHNESS_CHECK_FAILED = "freshness_check_failed"
    """Freshness is unknown: `error`, `kind`, `next`."""
    FIRST_RUN_AWAITED = "first_run_awaited"
    """The warehouse has no run yet."""
    VERIFICATION_COMPLETED = "verification_completed"
    """The warehouse equals the source: `run`, `rows`, `wrong`, `duration_s`."""
    DIFFERENCES_FOUND = "differences_found"
    """A verification found rows that differ; an error: `run`, `rows`, `wrong` (rows by table), `duration_s`."""
    VERIFICATION_SKIPPED = "verification_skipped"
    """A scheduled verification has no source to compare with: `reason`, `next`."""
    MISSING_INDEX_FOUND = "missing_index_found"
    """An index is missing on a table that another role owns: `table`, `owner`, `statement`."""
    COLUMN_ADDED = "column_added"
    """Load added a declared column to its table: `table`, `column`, `next`."""
    NARROW_VERSION_ID_FOUND = "narrow_version_id_found"
    """A version id column is `integer` and will run out: `table`, `column`, `next`."""
    SEQUENCE_ADVANCED = "sequence_advanced"
    """A sequence was behind the greatest version id and was corrected: `table`, `sequence`, `set_to`."""

    # The lakehouse
    COMMIT_CONFLICTED = "commit_conflicted"
    """Another writer committed to an Iceberg table first; the tables are read again: `error`, `next`."""
    TABLE_RESTORED = "table_restored"
    """An Iceberg table was missing and is filled again from the lake: `table`, `after`, `upto`."""
    LEDGER_COMMIT_SLOW = "ledger_commit_slow"
    """The ledger's commit took longer than the margin of the views: `run`, `duration_s`."""
