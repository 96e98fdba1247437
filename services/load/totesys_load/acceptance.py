"""What load may do in a warehouse that it has accepted."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from totesys.table import WarehouseTable


@dataclass(frozen=True)
class Accepted:
    """How the tables of a warehouse are to be written.

    `staged` are those that rows may not be copied straight into: binary COPY needs the declared types exactly, and
    an enforced foreign key would refuse a run for one orphan. `sequences` give each fact's record ids, as SQL names.
    """

    staged: frozenset[str] = frozenset()
    sequences: Mapping[str, str] = field(default_factory=dict)

    def straight(self, table: WarehouseTable) -> bool:
        """Whether rows may be copied straight into the table."""
        return table.name not in self.staged
