"""Quarantined rows, read from the lake."""

import asyncio
import io
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, field

import polars as pl

from totesys.arrow import key_texts
from totesys.errors import CorruptObject
from totesys.lake.keys import QUARANTINE
from totesys.lake.quarantine_parts import QuarantinePart, quarantine_parts, without_value
from totesys.lake.records import REASONS
from totesys.lake.store import Lake
from totesys.schema import Model
from totesys_cli.command_errors import UsageError


@dataclass(frozen=True)
class QuarantineFilter:
    """The wanted rows: of one warehouse table, of one run, with one key (None: any)."""

    table: str | None = None
    run: int | None = None
    key: str | None = None


@dataclass(frozen=True)
class ReasonCount:
    """Rows of a run quarantined from a warehouse table for the same reasons, and the objects that hold them.

    The reasons are those of the first row; those of `others` differ in the values they quote.
    """

    run: int
    table: str
    reasons: tuple[str, ...]
    rows: int
    objects: tuple[str, ...]
    others: int = 0


@dataclass(frozen=True)
class QuarantinedRow:
    """One row. `values` are text: of the source row, or of the fact row if load quarantined it."""

    run: int
    table: str
    object: str
    reasons: tuple[str, ...]
    values: dict[str, str | None]


async def read_reasons(lake: Lake, model: Model, wanted: QuarantineFilter, limit: int) -> list[ReasonCount]:
    """The number of wanted rows by run, table and reason, newest run first, at most `limit`; a run is counted whole.

    Raises UsageError for a table that the model does not declare.
    """
    groups: dict[tuple[int, str, tuple[str, ...]], _Group] = {}
    async with aclosing(_parts(lake, model, wanted)) as parts:
        async for part in parts:
            if len(groups) >= limit and (part.run, part.table) != next(reversed(groups))[:2]:
                break
            frame = await _read(lake, part)
            for reasons, rows in Counter(map(tuple, frame[REASONS].to_list())).items():
                kinds = tuple(map(without_value, reasons))
                group = groups.setdefault((part.run, part.table, kinds), _Group(reasons))
                group.rows += rows
                group.others += rows if reasons != group.first else 0
                group.objects[part.key] = None
    return [
        ReasonCount(run, table, group.first, group.rows, tuple(group.objects), group.others)
        for (run, table, _), group in groups.items()
    ]


@dataclass
class _Group:
    """Rows with the same reasons, except for the values they quote."""

    first: tuple[str, ...]
    rows: int = 0
    others: int = 0
    objects: dict[str, None] = field(default_factory=dict)


async def read_rows(lake: Lake, model: Model, wanted: QuarantineFilter, limit: int) -> list[QuarantinedRow]:
    """The wanted rows with all values, at most `limit`, newest run first. Raises UsageError as `read_reasons`."""
    found: list[QuarantinedRow] = []
    async with aclosing(_parts(lake, model, wanted)) as parts:
        async for part in parts:
            frame = await _read(lake, part)
            if wanted.key is not None:
                texts = key_texts([frame.to_arrow()[name] for name in _key_names(model, part)])
                frame = frame.filter(pl.Series(texts) == wanted.key)
            for row in frame.head(limit - len(found)).iter_rows(named=True):
                found.append(QuarantinedRow(part.run, part.table, part.key, tuple(row.pop(REASONS)), row))
            if len(found) == limit:
                break
    return found


def _parts(lake: Lake, model: Model, wanted: QuarantineFilter) -> AsyncGenerator[QuarantinePart, None]:
    prefix = QUARANTINE
    if wanted.table is not None:
        names = [table.name for table in model.tables]
        if wanted.table not in names:
            raise UsageError(f"{wanted.table!r} is not a warehouse table. Name one of {', '.join(names)}.")
        prefix += f"{model.lake_schema(model.table(wanted.table))}/{wanted.table}/"
    return quarantine_parts(lake, prefix, run=wanted.run)


async def _read(lake: Lake, part: QuarantinePart) -> pl.DataFrame:
    where, body = lake.processed.where(part.key), await lake.processed.get(part.key)
    try:
        return await asyncio.to_thread(pl.read_parquet, io.BytesIO(body or b""))
    except pl.exceptions.PolarsError as error:
        call = f"totesys replay --from {part.run} --to {part.run}"
        raise CorruptObject(f"{where} is not a valid Parquet file: {error}. Replay its run: `{call}`.") from error


def _key_names(model: Model, part: QuarantinePart) -> tuple[str, ...]:
    table = model.table(part.table)
    return (table if part.by_load else model.source(table.sources[0])).key_names
