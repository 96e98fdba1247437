"""A dead letter, and which one an id names. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from totesys_cli.command_errors import UsageError

# The number of ids in an error message.
_IDS_SHOWN = 5


@dataclass(frozen=True)
class HeldDeadLetter:
    """A message in a dead-letter queue, hidden from other calls until this one ends.

    `sent` is when it was sent there; for a message that SQS moved, when it was sent to the service. `receives` counts
    earlier receives. `reason` and `message_id`, the id in the service's log, exist only if the service gave it up.
    `attributes` are all that SQS has.
    """

    stage: str
    id: str
    sent: datetime
    receives: int
    reason: str | None
    message_id: str | None
    body: str
    attributes: Mapping[str, str]

    def matches(self, prefix: str) -> bool:
        """Whether its id, here or in the service's log, begins with `prefix`."""
        return self.id.startswith(prefix) or (self.message_id or "").startswith(prefix)


def find(letters: Sequence[HeldDeadLetter], prefix: str) -> HeldDeadLetter:
    """The one letter that `prefix` names. Raises UsageError if there is none, or more than one."""
    found = [letter for letter in letters if letter.id == prefix]
    # An empty prefix names nothing, even if there is only one letter.
    found = found or [letter for letter in letters if prefix and letter.matches(prefix)]
    if not found:
        raise UsageError(
            f"No dead letter has an id that begins with {prefix!r}. `totesys dlq list` shows them; raise --limit if "
            "there are more."
        )
    if len(found) > 1:
        ids = ", ".join(letter.id for letter in found[:_IDS_SHOWN]) + (", …" if len(found) > _IDS_SHOWN else "")
        raise UsageError(f"{prefix!r} matches {len(found)} dead letters. Write more of the id: {ids}.")
    return found[0]


def select(letters: Sequence[HeldDeadLetter], prefixes: Sequence[str]) -> list[HeldDeadLetter]:
    """The letters that the prefixes name, each once; all if there are no prefixes. Raises as `find`."""
    named = {find(letters, prefix).id for prefix in prefixes}
    return [letter for letter in letters if not prefixes or letter.id in named]
