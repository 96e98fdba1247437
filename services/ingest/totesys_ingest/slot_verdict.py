"""Decides whether a tick can read the source's log, or why not. Pure."""

from dataclasses import dataclass

from totesys.log_position import LogPosition
from totesys_ingest.ingest_settings import MIB, IngestSettings
from totesys_ingest.replication_slot import SlotState
from totesys_ingest.starting_point import SourceStatus


@dataclass(frozen=True)
class SlotVerdict:
    """Why the log cannot be used (None: it can), and whether a new slot can change that.

    `is_ours` means that the slot has everything since the last run, although it may not be used yet.
    """

    reason: str | None
    renew: bool = False
    is_ours: bool = False


def judge_slot(
    settings: IngestSettings, state: SlotState, known: LogPosition | None, status: SourceStatus
) -> SlotVerdict:
    """Judge the slot in `state`, which was read up to the position `known` if the source is still the same."""
    name = settings.capture_slot
    if status.in_recovery:
        # The position stays valid on the primary, where the slot is.
        return SlotVerdict("the source is a standby, and only its primary has the slot", is_ours=True)
    if state.wal_level != "logical":
        return SlotVerdict(f"the source has wal_level = {state.wal_level}, not logical")
    if state.exists and not state.fits:
        return SlotVerdict(f"slot {name} is of another plugin or database")
    if state.exists and state.active:
        return SlotVerdict(f"another client reads slot {name}")
    if reason := _broken(settings, state, known, status):
        return SlotVerdict(reason, renew=True)
    assert known is not None
    if known.lsn is None:
        return SlotVerdict(f"transactions that are older than slot {name} were open at the last run", is_ours=True)
    if state.retained_bytes > settings.log_bytes:
        limit = settings.log_bytes // MIB
        return SlotVerdict(f"more than {limit:,} MiB of the log are to be decoded, so a scan costs less", is_ours=True)
    return SlotVerdict(None, is_ours=True)


def _broken(settings: IngestSettings, state: SlotState, known: LogPosition | None, status: SourceStatus) -> str | None:
    """Why the slot does not have everything since the last run, or may not stay."""
    name = settings.capture_slot
    if not state.exists:
        return f"slot {name} does not exist"
    if state.lost:
        return f"the source has invalidated slot {name}: {state.lost}"
    if state.retained_bytes > settings.slot_bytes:
        return f"slot {name} made the source keep more than {settings.slot_bytes // MIB:,} MiB of its log"
    if known is None or known.slot != name:
        return f"the last run has not read slot {name}"
    if known.timeline != status.place.timeline:
        return f"the source is on timeline {status.place.timeline}, and slot {name} was read on {known.timeline}"
    reached = known.checkpoint.lsn if known.lsn is None and known.checkpoint else known.lsn
    if reached is None or state.confirmed > reached:
        return f"another client advanced slot {name}"
    return None
