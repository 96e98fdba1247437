"""What every warehouse is asked of itself: how fresh it is, and what is not in it. From the ledger alone."""

from totesys.reporting import Cards, Chapter, Question
from totesys.schema import ETL, Model
from totesys.sql import literal, qualified

FRESHNESS = Question(
    "freshness",
    "Freshness",
    "How long after its snapshot a run could be seen, of the last hundred complete runs. An extraction that found "
    "nothing changed leaves no run here.",
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
    """The chapter on freshness and quality of any model's warehouse."""
    facts = "\nUNION ALL\n".join(
        f"SELECT {literal(fact.name)} AS fact,\n"
        f"       (SELECT count(*) FROM {qualified(fact.star, fact.current)}) AS current_rows,\n"
        f"       (SELECT count(*) FROM {qualified(fact.star, fact.name)}) AS versions"
        for fact in model.facts
    )
    rows = Question(
        "quality",
        "Rows that are there, and rows that are not",
        "Deleted at the source; waiting for a row that they refer to; and, over all runs, set apart because they could "
        "not become warehouse rows. What was set apart may have been mended since.",
        f"""
WITH facts AS (
{facts}
)
SELECT fact, current_rows, versions,
       (SELECT count(*) FROM {ETL}.deletion WHERE table_name = fact AND returned_run IS NULL) AS deleted,
       (SELECT count(*) FROM {ETL}.orphan WHERE table_name = fact) AS waiting,
       (SELECT coalesce(sum(rows_quarantined), 0)::bigint FROM {ETL}.run_table
        WHERE table_name = fact AND rows_quarantined > 0) AS set_apart
FROM facts""",
    )
    return Chapter("Freshness and quality", (FRESHNESS, rows))
