"""The status and runs, for people."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from rich.console import Group
from rich.table import Column, Table
from rich.text import Text

from totesys.service.runs import RunDetail, RunState, StageState
from totesys.stage_names import STAGES
from totesys.transactions import LONG_OPEN
from totesys_cli.status.status_reading import NO_RECIPIENT, StageStatus, Status, VerificationStatus
from totesys_cli.terminal import count, duration, one_line, table, time_of_day, timestamp

_STYLES = {"done": "green", "failed": "bold red", "waiting": "yellow", "empty": "dim"}
_ERROR_CHARACTERS = 300


def to_screen(status: Status) -> Group:
    """The whole status, for one screen."""
    errors = [_line("red", f"{one.stage} failed at {one.error}") for one in status.stages if one.error]
    return Group(_freshness(status), _stages(status), *errors, *_others(status))


def to_line(status: Status) -> str:
    """The essentials in one line, for a log."""
    fresh = "nothing loaded" if status.fresh is None else f"{duration(status.fresh)} old (run {status.run})"
    waiting = sum(stage.waiting for stage in status.stages)
    dead = sum(queue.dead_letters for queue in status.queues)
    counts = f"{waiting:,} runs pending, {dead:,} dead letters, {status.quarantine.runs:,} runs with quarantine"
    return f"{timestamp(status.at)}  {fresh}, {counts}"


def runs_table(runs: Sequence[RunState]) -> Table:
    """A line for each run."""
    now = datetime.now(UTC)
    # In a narrow terminal, these headers take two lines, and the trigger is cut.
    trigger = Column("trigger", overflow="ellipsis", min_width=7)
    snapshot, latency = Column("snapshot (UTC)", min_width=8), Column("latency", justify="right", min_width=7)
    run_number, *numbers = (Column(name, justify="right", no_wrap=True) for name in ("run", "rows", "quarantined"))
    rows = table(run_number, trigger, snapshot, *STAGES, *numbers, latency)
    for run in runs:
        rows.add_row(
            str(run.run),
            Text(one_line(run.trigger, 20), no_wrap=True),
            time_of_day(run.snapshot_time, now),
            *(_state(run.stages.get(stage)) for stage in STAGES),
            f"{run.stages['ingest'].rows:,}",
            f"{sum(stage.quarantined for stage in run.stages.values()):,}",
            "" if run.freshness is None else duration(run.freshness),
        )
    return rows


def run_page(run: RunDetail) -> Group:
    """One run: its stages, each stage's rows by table, its failures."""
    stages = table("stage", "state", "finished (UTC)", numbers=("rows", "took"))
    errors = []
    for name, state in run.stages.items():
        finished = timestamp(state.finished_at) if state.finished_at else ""
        took = "" if state.seconds is None else duration(state.seconds)
        stages.add_row(name, _state(state), finished, f"{state.rows:,}", took)
        if state.error:
            errors.append(_line("red", f"{name}: {state.error.title}: {state.error.detail}"))
    head = f"Run {run.run}, trigger {one_line(run.trigger, 60)}, snapshot {timestamp(run.snapshot_time)} UTC"
    return Group(Text(head, style="bold"), stages, *errors, *([_tables(run)] if run.extracted else []))


def verification_line(checked: VerificationStatus) -> Text:
    """The result of a verification."""
    compared = f"{checked.compared:,} rows"
    result = f"{compared} equal" if checked.equal else f"{checked.wrong:,} of {compared} differ"
    run = f", as of run {checked.run}" if checked.run else ""
    style = "" if checked.equal else "bold red"
    return _line(style, f"Verification: {result}{run}, {timestamp(checked.started_at)} UTC.")


def _freshness(status: Status) -> Text:
    if status.fresh is None or status.as_of is None:
        return Text("Nothing is in the warehouse yet.", style="bold yellow")
    return Text.assemble(
        "The warehouse shows the source as it was ",
        (f"{duration(status.fresh)} ago", "bold red" if status.is_late else "bold green"),
        f": run {status.run}, snapshot {timestamp(status.as_of)} UTC.",
    )


def _stages(status: Status) -> Table:
    names = ("last run", "rows", "took", "runs pending", "messages", "in flight", "dead letters")
    # Headers of two lines leave room for the numbers.
    numbers = [name.replace(" ", "\n") for name in names]
    rows = table("stage", numbers=numbers)
    rows.add_column("finished\n(UTC)", min_width=10)
    for stage, queue in zip(status.stages, status.queues, strict=True):
        rows.add_row(
            Text(stage.stage, style="bold red" if stage.error else ""),
            *_last(stage),
            count(stage.waiting, "yellow"),
            count(queue.waiting, "yellow"),
            count(queue.in_flight, "green"),
            count(queue.dead_letters, "bold red"),
            time_of_day(stage.finished_at, status.at) if stage.finished_at else "",
        )
    return rows


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
    if status.alerts_confirmed is False:
        yield _line("yellow", NO_RECIPIENT)
    found = status.open_transaction
    if found and found.seconds > LONG_OPEN.total_seconds():
        yield _line("yellow", f"Source: a transaction open for {duration(found.seconds)}: {found.holder}")


def _tables(run: RunDetail) -> Table:
    rows = table("table", numbers=("extracted", "built", "written", "quarantined", "bytes"))
    for name, extracted in run.extracted.items():
        rows.add_row(name, f"{extracted.rows:,}", "", "", "", f"{extracted.bytes:,}")
    for name in {**run.built, **run.quarantine, **run.loaded}:
        built, loaded, rejected = run.built.get(name), run.loaded.get(name), run.quarantine.get(name)
        quarantined = (rejected.rows if rejected else 0) + (loaded.quarantined if loaded else 0)
        rows.add_row(
            name,
            "",
            f"{built.rows:,}" if built else "",
            f"{loaded.written:,}" if loaded else "",
            count(quarantined, "yellow"),
            f"{built.bytes:,}" if built else "",
        )
    return rows


def _state(state: StageState | None) -> Text:
    return Text("") if state is None else Text(state.state, style=_STYLES[state.state])


def _line(style: str, text: str) -> Text:
    return Text(one_line(text, _ERROR_CHARACTERS), style=style)
