"""Each chapter of `totesys report` as an exposure that depends on the relations that its questions read."""

import re
from collections.abc import Iterator

from totesys.reporting import Chapter, Report
from totesys.schema import ETL, Model
from totesys.table import Fact
from totesys_cli.analyst.analyst_rights import LEDGER
from totesys_cli.dbt.yaml import Yaml
from totesys_cli.report.quality import quality


def exposures(model: Model, report: Report) -> list[Yaml]:
    """The exposures, in the order of the chapters."""
    return [_exposure(model, chapter) for chapter in (*report.chapters, quality(model))]


def _exposure(model: Model, chapter: Chapter) -> Yaml:
    titles = "; ".join(question.title for question in chapter.questions)
    return {
        "name": f"report_{re.sub(r'[^a-z0-9]+', '_', chapter.title.lower()).strip('_')}",
        "label": f"Report: {chapter.title}",
        "type": "dashboard",
        "description": f"A chapter of the page that `totesys report` writes: {titles}",
        "owner": {"name": f"The operators of {model.name}"},
        "depends_on": [f"source('{schema}', '{name}')" for schema, name in _read(model, chapter)],
    }


def _read(model: Model, chapter: Chapter) -> Iterator[tuple[str, str]]:
    """The relations of the stars and of the ledger that occur in the chapter's SQL."""
    sql = " ".join(question.sql for question in chapter.questions)
    for schema, name in _relations(model):
        if re.search(rf'(?<![\w."])"?{re.escape(schema)}"?\."?{re.escape(name)}"?(?![\w"])', sql):
            yield schema, name


def _relations(model: Model) -> Iterator[tuple[str, str]]:
    for star, tables in model.stars.items():
        for table in tables:
            yield from ((star, name) for name in ([table.current] if isinstance(table, Fact) else []))
            yield star, table.name
    yield from ((ETL, table.name) for table in LEDGER)
