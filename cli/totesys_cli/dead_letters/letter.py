"""A dead letter, and which one an id means."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from totesys_cli.errors import BadInput

# As many ids as a sentence may name.
_NAMED = 5


@dataclass(frozen=True)
class DeadLetter:
    """A message in a service's dead-letter queue.

    `sent` is when it was sent there; where SQS moved it, SQS keeps the time when it was sent to the service.
    `receives` counts the times that it was received before. `reason`, and `message_id`, its id in the service's
    log, are there only where the service itself gave it up. `attributes` are all that SQS says of it.
    """

    stage: str
    id: str
    sent: datetime
    receives: int
    reason: str | None
    message_id: str | None
    body: str
    attributes: Mapping[str, str]

    def is_meant_by(self, prefix: str) -> bool:
        """Whether its id, here or in the service's log, begins like this."""
        return self.id.startswith(prefix) or (self.message_id or "").startswith(prefix)


def find(letters: Sequence[DeadLetter], prefix: str) -> DeadLetter:
    """The one letter that `prefix` means. Raises BadInput if there is none, or more than one."""
    found = [letter for letter in letters if letter.id == prefix]
    # Nobody means a message by an empty text, be there only one.
    found = found or [letter for letter in letters if prefix and letter.is_meant_by(prefix)]
    if not found:
        raise BadInput(
            f"No dead letter has an id that begins with {prefix!r}: `totesys dlq list` shows them; if there are more"
            " of them, look at more with --limit."
        )
    if len(found) > 1:
        ids = ", ".join(letter.id for letter in found[:_NAMED]) + (", …" if len(found) > _NAMED else "")
        raise BadInput(f"{prefix!r} may mean any of {len(found)} dead letters: write more of the id, of {ids}.")
    return found[0]


def select(letters: Sequence[DeadLetter], prefixes: Sequence[str]) -> list[DeadLetter]:
    """The letters that the prefixes mean, one each; all, if there are no prefixes. Raises as `find`."""
    if not prefixes:
        return list(letters)
    meant = {find(letters, prefix).id for prefix in prefixes}
    return [letter for letter in letters if letter.id in meant]
