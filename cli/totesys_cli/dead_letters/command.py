"""`totesys dlq`: look at dead letters, send them back, delete them."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta

from rich.console import Console
from rich.prompt import Confirm

from totesys_cli.dead_letters import render
from totesys_cli.dead_letters.interruption import undisturbed
from totesys_cli.dead_letters.letter import DeadLetter, find, select
from totesys_cli.dead_letters.queues import DeadLetterQueue, holding
from totesys_cli.errors import BadInput
from totesys_cli.place import Place
from totesys_cli.progress import LINE_SECONDS, progress

# After a SIGKILL a message is hidden for as long; within it all that was received has to be done with.
TO_LOOK = timedelta(minutes=1)
TO_ACT = timedelta(minutes=15)


def list_letters(console: Console, place: Place, stages: Sequence[str], limit: int, *, json: bool) -> None:
    """Print the letters in the queues of the stages, and whether there are more."""
    with holding(place, stages, limit, TO_LOOK) as queues:
        letters = _all(queues)
    if json:
        console.print_json(render.to_json(letters))
    elif letters:
        console.print(render.to_table(letters))
    else:
        console.print(f"There are no dead letters of {', '.join(stages)}.")
    _tell_of_others(queues, limit)


def show_letter(console: Console, place: Place, stage: str, prefix: str, limit: int, *, json: bool) -> None:
    """Print one letter whole. Raises BadInput if `prefix` does not mean exactly one."""
    with holding(place, [stage], limit, TO_LOOK) as queues:
        letter = find(_all(queues), prefix)
    if json:
        console.print_json(render.to_json_page(letter))
    else:
        console.print(render.to_page(letter), soft_wrap=True)


def redrive(
    console: Console, place: Place, stages: Sequence[str], prefixes: Sequence[str], limit: int, *, json: bool
) -> None:
    """Send letters back to their services: those that `prefixes` mean, or all. Raises BadInput as `find`."""
    tell = _Tell(console, json)
    with holding(place, stages, limit, TO_ACT) as queues:
        chosen = select(_all(queues), prefixes)
        moved = _each(chosen, lambda letter: queues[letter.stage].send_back(letter), tell, "went back")
    if copied := len(chosen) - moved:
        tell.note(f"{copied:,} more went back but may still be here: what is sent back again changes nothing.")
    _tell_of_others(queues, limit)


def purge(
    console: Console, place: Place, stages: Sequence[str], prefixes: Sequence[str], limit: int, *, yes: bool, json: bool
) -> None:
    """Delete letters, those that `prefixes` mean or all, once the user has seen them and agreed.

    Raises BadInput as `find`, and where nobody answers.
    """
    tell = _Tell(console, json)
    with holding(place, stages, limit, TO_ACT) as queues:
        chosen = select(_all(queues), prefixes)
        if chosen and not yes and not _agreed(tell.notes, chosen):
            tell.counts(Counter(), "deleted", else_="Nothing was deleted.")
            return
        deleted = _each(chosen, lambda letter: queues[letter.stage].delete(letter), tell, "deleted")
    if kept := len(chosen) - deleted:
        tell.note(f"{kept:,} more were gone, or held for too long: `totesys dlq list` shows what is still there.")
    _tell_of_others(queues, limit)


class _Tell:
    """Prints what was done; with `json` as JSON, and all else beside it."""

    def __init__(self, console: Console, json: bool) -> None:
        self._console = console
        self._json = json
        self.notes = Console(stderr=True) if json else console

    def note(self, text: str) -> None:
        self.notes.print(text)

    def counts(self, done: Counter[str], what_happened: str, *, else_: str = "") -> None:
        """To how many messages it happened, in all and by stage; `else_` in place of none."""
        if self._json:
            self._console.print_json(render.to_json_counts(done))
        else:
            self._console.print(else_ or f"{render.counted(done)} {what_happened}.")


def _each(letters: Sequence[DeadLetter], act: Callable[[DeadLetter], bool], tell: "_Tell", what_happened: str) -> int:
    """Do it to each letter, and print to how many, even when it is broken off; the number."""
    done: Counter[str] = Counter()
    try:
        with progress(len(letters), every=LINE_SECONDS) as steps:
            for letter in letters:
                with undisturbed():
                    done[letter.stage] += act(letter)
                steps.step(f"{letter.id[: render.ID_CHARACTERS]} of {letter.stage} {what_happened}")
    finally:
        tell.counts(done, what_happened)
    return done.total()


def _agreed(console: Console, letters: Sequence[DeadLetter]) -> bool:
    console.print(render.to_table(letters))
    try:
        return Confirm.ask("Delete them for good?", console=console, default=False)
    except EOFError:
        raise BadInput("Nobody answers whether they may be deleted: say --yes to delete without a question.") from None


def _all(queues: Mapping[str, DeadLetterQueue]) -> list[DeadLetter]:
    return [letter for queue in queues.values() for letter in queue.letters]


def _tell_of_others(queues: Mapping[str, DeadLetterQueue], limit: int) -> None:
    """Say what this call has not seen, beside what it prints."""
    notes = Console(stderr=True)
    for stage, queue in queues.items():
        if queue.full:
            notes.print(f"{stage}: --limit {limit} is reached, there may be more.", soft_wrap=True)
        if queue.hidden:
            notes.print(
                f"{stage}: about {queue.hidden:,} more are held by another call, or by one that was killed, and come"
                f" back within {TO_ACT.total_seconds() / 60:.0f} minutes.",
                soft_wrap=True,
            )
