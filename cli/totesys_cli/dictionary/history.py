"""How to ask about history: examples with a fact's own names."""

from totesys.table import Fact
from totesys.types import Kind

# A moment that the examples ask about, with its zone: without one it is the session's.
THEN = "2026-03-01 00:00+00"
LATER = "2026-04-01 00:00+00"


def asking_about_history(fact: Fact) -> str:
    """The section, with examples that ask about `fact`."""
    name, star, key, record_id, total = fact.name, fact.star, fact.key, fact.record_id, _total(fact)
    return f"""## Asking about history

The examples ask about [{name}](#{name}); what they say holds of every fact.

### Which total is meant?

```sql
SELECT (SELECT {total} FROM {star}.{name}) AS all_versions,
       (SELECT {total} FROM {star}.{fact.current}) AS now,
       (SELECT {total} FROM {star}.{name}_as_of('{THEN}')) AS known_then;
```

The three differ:

- `all_versions` counts what has three versions three times, and what was deleted too. It is hardly ever the total
  that is meant; the fact itself is there to see how its rows have changed.
- `now` counts each `{key}` once, by its newest version, without those that were deleted.
- `known_then` counts what the warehouse knew at that moment: a version counts from the snapshot of the run that
  brought it, a deletion from the sweep that found it. Asked again later, it gives the same, unless a version of
  that time had to wait for a row of a dimension (`etl.orphan`) and has come since.

A moment without a zone is one of your session's zone. Before the first run's snapshot there is nothing.

### What has changed between two moments?

```sql
SELECT {key}, earlier.{record_id} AS version_then, later.{record_id} AS version_later
FROM {star}.{name}_as_of('{THEN}') earlier
FULL JOIN {star}.{name}_as_of('{LATER}') later USING ({key})
WHERE earlier.{record_id} IS DISTINCT FROM later.{record_id};
```

`version_then` is NULL of what was new, `version_later` of what had been deleted.

### How did one row change, and when did each version come?

```sql
SELECT r.run, r.snapshot_time, r.applied_at, f.*
FROM {star}.{name} f
LEFT JOIN etl.run_table t
       ON t.table_name = '{name}' AND f.{record_id} BETWEEN t.first_record_id AND t.last_record_id
LEFT JOIN etl.run r USING (lake, run)
WHERE f.{key} = 17
ORDER BY f.{record_id};
```

`etl.run_table` has the record ids that each run wrote. The source looked like that at `snapshot_time`; since
`applied_at` it is to be seen here. What was in the warehouse before its first run has no run. Of a row that changed
several times between two snapshots, the last of these states is there and the others are not.

### What was deleted, and what came back?

```sql
SELECT id AS {key}, deleted_at, returned_at
FROM etl.deletion
WHERE table_name = '{name}'
ORDER BY deleted_at DESC;
```

`returned_at` is NULL as long as it is deleted. A sweep of the source's keys finds deletions, so `deleted_at` is when
one was found: the row was deleted between the sweep before and this one. The versions of what was deleted stay in the
fact."""


def _total(fact: Fact) -> str:
    """The sum of the first column that measures something; else the number of rows."""
    for column in fact.columns:
        number = column.type.is_integer or column.type.kind is Kind.DECIMAL
        if number and column.name != fact.key and not column.references:
            return f"sum({column.name})"
    return "count(*)"
