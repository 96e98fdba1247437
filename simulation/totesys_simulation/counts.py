"""What a writer has done."""

from collections import Counter
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Counts:
    """Committed rows by table, and how many transactions were committed and rolled back."""

    inserted: Counter[str] = field(default_factory=Counter)
    updated: Counter[str] = field(default_factory=Counter)
    committed: int = 0
    rolled_back: int = 0

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(
            self.inserted + other.inserted,
            self.updated + other.updated,
            self.committed + other.committed,
            self.rolled_back + other.rolled_back,
        )

    @property
    def rows(self) -> int:
        """All committed changes, in rows."""
        return self.inserted.total() + self.updated.total()
