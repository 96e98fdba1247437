"""`totesys dlq`: list, show, redrive and purge dead letters."""

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from rich.console import Console
from rich.prompt import Confirm
from rich.table import Column, Table
from rich.text import Text

from totesys_cli.command_errors import UsageError
from totesys_cli.dead_letters.dead_letter_queues import DeadLetterQueue, holding
from totesys_cli.dead_letters.letter import HeldDeadLetter, find, select
from totesys_cli.interruption import undisturbed
from totesys_cli.options import DataPlaneLocation
from totesys_cli.progress import LINE_SECONDS, progress
from totesys_cli.terminal import Output, one_line, printable, table, timestamp

# Visibility timeouts: a call has to finish within its own, and a killed call hides its messages for so long.
TO_LIST = timedelta(minutes=1)
TO_ACT = timedelta(minutes=15)

# Enough of an id in most cases; `find` reports when it is ambiguous.
_ID_CHARACTERS = 8
_REASON_CHARACTERS = 200
_BODY_CHARACTERS = 60
_NO_REASON = "none: SQS moved it after too many receives"


@dataclass(frozen=True)
class DeadLetterCall:
    """One call of `totesys dlq`: the stages and at most how many messages of each."""

    output: Output
    location: DataPlaneLocation
    stages: Sequence[str]
    limit: int

    def list(self) -> None:
        """Print the letters."""
        with holding(self.location, self.stages, self.limit, TO_LIST) as queues:
            letters = _all(queues)
        nothing = f"{', '.join(self.stages)}: no dead letters."
        self.output.result(letters, _table(letters) if letters else nothing)
        self._note_others(queues)

    def show(self, prefix: str) -> None:
        """Print one letter with its whole body. Raises UsageError as `find`."""
        with holding(self.location, self.stages, self.limit, TO_LIST) as queues:
            letter = find(_all(queues), prefix)
        self.output.result(letter, _page(letter))

    def redrive(self, prefixes: Sequence[str]) -> None:
        """Return letters to their services: those that `prefixes` name, or all. Raises UsageError as `find`."""
        with holding(self.location, self.stages, self.limit, TO_ACT) as queues:
            chosen = select(_all(queues), prefixes)
            moved = self._each(chosen, lambda letter: queues[letter.stage].redrive(letter), "redriven")
        if copied := len(chosen) - moved:
            self.output.note(f"{copied:,} more were redriven but may still be listed. Another redrive changes nothing.")
        self._note_others(queues)

    def purge(self, prefixes: Sequence[str], *, yes: bool) -> None:
        """Delete letters, those that `prefixes` name or all, after confirmation or with `yes`.

        Raises UsageError as `find`, and if nobody answers.
        """
        with holding(self.location, self.stages, self.limit, TO_ACT) as queues:
            chosen = select(_all(queues), prefixes)
            if chosen and not yes and not self._confirmed(chosen):
                self._print_counts(Counter(), "Nothing was deleted.")
                return
            deleted = self._each(chosen, lambda letter: queues[letter.stage].delete(letter), "deleted")
        if kept := len(chosen) - deleted:
            self.output.note(f"{kept:,} more were gone, or held for too long. `totesys dlq list` shows the rest.")
        self._note_others(queues)

    def _each(self, letters: Sequence[HeldDeadLetter], act: Callable[[HeldDeadLetter], bool], done: str) -> int:
        """Act on each letter, and print the counts even if it is interrupted; returns the total."""
        counts: Counter[str] = Counter()
        try:
            with progress(len(letters), every=LINE_SECONDS) as steps:
                for letter in letters:
                    with undisturbed():
                        counts[letter.stage] += act(letter)
                    steps.step(f"{letter.stage} {letter.id[:_ID_CHARACTERS]} {done}")
        finally:
            self._print_counts(counts, f"{_counted(counts)} {done}.")
        return counts.total()

    def _print_counts(self, counts: Counter[str], text: str) -> None:
        self.output.result({"messages": counts.total(), "stages": {s: n for s, n in counts.items() if n}}, text)

    def _confirmed(self, letters: Sequence[HeldDeadLetter]) -> bool:
        console: Console = self.output.notes if self.output.json else self.output.console
        console.print(_table(letters))
        try:
            return Confirm.ask("Delete them for good?", console=console, default=False)
        except EOFError:
            raise UsageError("Nobody confirmed the deletion. Pass --yes to delete without confirmation.") from None

    def _note_others(self, queues: Mapping[str, DeadLetterQueue]) -> None:
        for stage, queue in queues.items():
            if queue.full:
                self.output.note(f"{stage}: --limit {self.limit} is reached; there may be more.")
            if queue.hidden:
                self.output.note(
                    f"{stage}: another call, or a killed one, hides about {queue.hidden:,} more for at most "
                    f"{TO_ACT.total_seconds() / 60:.0f} minutes."
                )


def _all(queues: Mapping[str, DeadLetterQueue]) -> list[HeldDeadLetter]:
    return [letter for queue in queues.values() for letter in queue.letters]


def _table(letters: Sequence[HeldDeadLetter]) -> Table:
    folded = (Column(name, overflow="fold") for name in ("reason", "body"))
    rows = table("stage", "id", "sent (UTC)", Column("received", justify="right"), *folded)
    for letter in letters:
        rows.add_row(
            letter.stage,
            letter.id[:_ID_CHARACTERS],
            timestamp(letter.sent),
            f"{letter.receives:,}",
            Text(one_line(letter.reason or _NO_REASON, _REASON_CHARACTERS), style="" if letter.reason else "dim"),
            Text(one_line(letter.body, _BODY_CHARACTERS)),
        )
    return rows


def _page(letter: HeldDeadLetter) -> Text:
    facts = {
        "id": letter.id,
        "stage": letter.stage,
        "sent": f"{timestamp(letter.sent)} UTC",
        "received": f"{letter.receives:,} times before",
        "reason": letter.reason or _NO_REASON,
        **{name: value for name, value in letter.attributes.items() if name != "reason"},
    }
    width = max(map(len, facts))
    lines = [Text.assemble((f"{name:<{width}}", "bold"), f"  {printable(value)}") for name, value in facts.items()]
    return Text("\n").join([*lines, Text(), Text(printable(_pretty(letter.body)))])


def _counted(counts: Counter[str]) -> str:
    each = ", ".join(f"{stage} {number:,}" for stage, number in counts.items() if number)
    return f"{counts.total():,} message{'' if counts.total() == 1 else 's'}{f' ({each})' if each else ''}"


def _pretty(body: str) -> str:
    try:
        return json.dumps(json.loads(body), indent=2, ensure_ascii=False)
    except (ValueError, RecursionError):
        return body
