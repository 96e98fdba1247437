"""The chapter of any warehouse's report: latency, and rows that are missing. From the ledger alone."""

from totesys.reporting import Cards, Chapter, Question
from totesys.schema import ETL, Model
from totesys.sql import literal, qualified

FRESHNESS = Question(
    "freshness",
    "Freshness",
    "The time from a run's snapshot until it was visible, for the last hundred complete runs. An extraction that found "
    "no changes leaves no run here.",
    f"""
SELECT 'Last ' || count(*) || CASE count(*) WHEN 1 THEN ' run' ELSE ' runs' END AS runs,
       round(extract(epoch FROM percentile_cont(0.5) WITHIN GROUP (ORDER BY applied_at - snapshot_time))::numeric, 2)
           AS median_seconds,
       round(extract(epoch FROM max(applied_at - snapshot_time)), 2) AS longest_seconds,
       sum(rows_written)::bigint AS rows_written, min(snapshot_time) AS since
FROM (SELECT * FROM {ETL}.run WHERE complete ORDER BY snapshot_time DESC LIMIT 100) AS newest""",
    Cards(),
)


def quality(model: Model) -> Chapter:
    """The chapter on freshness and quality."""
    facts = "\nUNION ALL\n".join(
        f"SELECT {literal(fact.name)} AS fact,\n"
        f"       (SELECT count(*) FROM {qualified(fact.star, fact.current)}) AS current_rows,\n"
        f"       (SELECT count(*) FROM {qualified(fact.star, fact.name)}) AS versions"
        for fact in model.facts
    )
    rows = Question(
        "quality",
        "Loaded rows and missing rows",
        "Deleted: rows deleted at the source. Waiting: rows that wait for a dimension row. Quarantined: rows of all "
        "runs that could not become warehouse rows; some may have been corrected since.",
        f"""
WITH facts AS (
{facts}
)
SELECT fact, current_rows, versions,
       (SELECT count(*) FROM {ETL}.deletion WHERE table_name = fact AND returned_run IS NULL) AS deleted,
       (SELECT count(*) FROM {ETL}.orphan WHERE table_name = fact) AS waiting,
       (SELECT coalesce(sum(rows_quarantined), 0)::bigint FROM {ETL}.run_table
        WHERE table_name = fact AND rows_quarantined > 0) AS quarantined
FROM facts""",
    )
    return Chapter("Freshness and quality", (FRESHNESS, rows))
