"""The status and runs, for people."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

from rich.box import SIMPLE_HEAD
from rich.console import Group
from rich.table import Column, Table
from rich.text import Text

from totesys.service.runs import RunDetail, RunState, StageState
from totesys.stage_names import STAGES
from totesys.transactions import LONG_OPEN
from totesys_cli.printable import one_line
from totesys_cli.status.snapshot import StageStatus, Status, VerificationStatus

# What the system promises: every change within as long.
PROMISE = timedelta(minutes=30)
_STYLES = {"done": "green", "failed": "bold red", "waiting": "yellow", "empty": "dim"}
_ERROR_CHARACTERS = 300


def to_screen(status: Status) -> Group:
    """All of it, as lines of one screen."""
    errors = [_line("red", f"{one.stage} failed at {one.error}") for one in status.stages if one.error]
    return Group(_freshness(status), _stages(status), *errors, *_others(status))


def to_line(status: Status) -> str:
    """The most of it in one line, for a log."""
    fresh = "nothing loaded" if status.fresh is None else f"{duration(status.fresh)} old (run {status.run})"
    waiting = sum(stage.waiting for stage in status.stages)
    dead = sum(queue.dead_letters for queue in status.queues)
    counts = f"{waiting:,} runs waiting, {dead:,} dead letters, {status.quarantine.runs:,} runs with quarantine"
    return f"{moment(status.at)}  {fresh}, {counts}"


def to_table(runs: Sequence[RunState]) -> Table:
    """A line for each run."""
    now = datetime.now(UTC)
    numbers = [Column(name, justify="right", no_wrap=True) for name in ("run", "rows", "quarantined")]
    # Where there is no room, these headers stand in two lines, and the trigger is cut.
    trigger = Column("trigger", overflow="ellipsis", min_width=7)
    snapshot, fresh = Column("snapshot (UTC)", min_width=8), Column("fresh after", justify="right", min_width=7)
    table = _table(numbers[0], trigger, snapshot, *STAGES, *numbers[1:], fresh)
    for run in runs:
        stages = run.stages.values()
        table.add_row(
            str(run.run),
            Text(one_line(run.trigger, 20), no_wrap=True),
            clock(run.snapshot_time, now),
            *(_state(run.stages.get(stage)) for stage in STAGES),
            f"{run.stages['ingest'].rows:,}",
            f"{sum(stage.quarantined for stage in stages):,}",
            "" if run.freshness is None else duration(run.freshness),
        )
    return table


def to_page(run: RunDetail) -> Group:
    """One run: its stages, what each did with each table, its failures."""
    stages = _table("stage", "state", "finished (UTC)", *(Column(name, justify="right") for name in ("rows", "took")))
    for name, state in run.stages.items():
        finished, took = state.finished_at, state.seconds
        stages.add_row(
            name,
            _state(state),
            moment(finished) if finished else "",
            f"{state.rows:,}",
            "" if took is None else duration(took),
        )
    head = f"Run {run.run}, trigger {one_line(run.trigger, 60)}, snapshot {moment(run.snapshot_time)} UTC"
    errors = [
        _line("red", f"{name}: {state.error.title}: {state.error.detail}")
        for name, state in run.stages.items()
        if state.error
    ]
    return Group(Text(head, style="bold"), stages, *errors, *([_tables(run)] if run.extracted else []))


def duration(seconds: float) -> str:
    """A length of time as people say it: 0.4 s, 12 s, 3 min 5 s, 2 h 10 min, 3 d 4 h."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days} d {hours} h"
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def moment(at: datetime) -> str:
    """A moment, to the second."""
    return f"{at:%Y-%m-%d %H:%M:%S}"


def clock(at: datetime, now: datetime) -> str:
    """A moment, without the day if it is today's: for a narrow column."""
    return f"{at:%H:%M:%S}" if at.date() == now.date() else moment(at)


def _freshness(status: Status) -> Text:
    if status.fresh is None or status.as_of is None:
        return Text("Nothing is in the warehouse yet.", style="bold yellow")
    late = status.fresh > PROMISE.total_seconds()
    return Text.assemble(
        "The warehouse shows the source as it was ",
        (f"{duration(status.fresh)} ago", "bold red" if late else "bold green"),
        f": run {status.run}, snapshot {moment(status.as_of)} UTC.",
    )


def _stages(status: Status) -> Table:
    numbers = ("last run", "rows", "took", "runs waiting", "messages", "at work", "dead letters")
    # Headers in two lines, and a day above its time: so there is room for every digit.
    columns = (Column(name.replace(" ", "\n"), justify="right", no_wrap=True) for name in numbers)
    table = _table("stage", *columns, Column("finished\n(UTC)", min_width=10))
    for stage, queue in zip(status.stages, status.queues, strict=True):
        table.add_row(
            Text(stage.stage, style="bold red" if stage.error else ""),
            *_last(stage),
            _count(stage.waiting, "yellow"),
            _count(queue.waiting, "yellow"),
            _count(queue.at_work, "green"),
            _count(queue.dead_letters, "bold red"),
            clock(stage.finished_at, status.at) if stage.finished_at else "",
        )
    return table


def _last(stage: StageStatus) -> Iterator[str]:
    yield "" if stage.run is None else str(stage.run)
    yield "" if stage.run is None else f"{stage.rows:,}"
    yield "" if stage.seconds is None else duration(stage.seconds)


def _others(status: Status) -> Iterator[Text]:
    quarantine, checked = status.quarantine, status.verification
    if quarantine.runs:
        tables = ", ".join(quarantine.tables)
        yield _line("yellow", f"Quarantine: rows of {tables} from {quarantine.runs:,} runs; totesys quarantine list")
    else:
        yield Text("Quarantine: empty.")
    yield Text("Verification: none yet.") if checked is None else verification_line(checked)
    found = status.open_transaction
    if found and found.seconds > LONG_OPEN.total_seconds():
        yield _line("yellow", f"Source: a transaction open for {duration(found.seconds)}: {found.holder}")


def verification_line(checked: VerificationStatus) -> Text:
    """What a verification found."""
    compared = f"{checked.compared:,} rows"
    said = f"{compared} equal" if checked.equal else f"{checked.wrong:,} of {compared} differ"
    run = f", as of run {checked.run}" if checked.run else ""
    return _line("" if checked.equal else "bold red", f"Verification: {said}{run}, {moment(checked.started_at)} UTC.")


def _tables(run: RunDetail) -> Table:
    names = ("extracted", "built", "written", "quarantined", "bytes")
    table = _table("table", *(Column(name, justify="right") for name in names))
    for name, extracted in run.extracted.items():
        table.add_row(name, f"{extracted.rows:,}", "", "", "", f"{extracted.bytes:,}")
    for name in {**run.built, **run.quarantine, **run.loaded}:
        built, loaded, rejected = run.built.get(name), run.loaded.get(name), run.quarantine.get(name)
        quarantined = (rejected.rows if rejected else 0) + (loaded.quarantined if loaded else 0)
        table.add_row(
            name,
            "",
            f"{built.rows:,}" if built else "",
            f"{loaded.written:,}" if loaded else "",
            _count(quarantined, "yellow"),
            f"{built.bytes:,}" if built else "",
        )
    return table


def _state(state: StageState | None) -> Text:
    return Text("") if state is None else Text(state.state, style=_STYLES[state.state])


def _count(number: int, style: str) -> Text:
    return Text(f"{number:,}", style=style if number else "dim")


def _line(style: str, text: str) -> Text:
    return Text(one_line(text, _ERROR_CHARACTERS), style=style)


def _table(*columns: Column | str) -> Table:
    return Table(
        *(column if isinstance(column, Column) else Column(column, no_wrap=True) for column in columns),
        box=SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
    )
