"""Two warehouses' checksums side by side. Pure."""

from dataclasses import dataclass

from totesys_cli.compare.checksums import Checksum, Content


@dataclass(frozen=True)
class Comparison:
    """A table on both sides; `different_runs` are those whose versions of a fact differ, or that one side lacks."""

    table: str
    left: Checksum
    right: Checksum
    runs: int
    different_runs: tuple[int, ...]

    @property
    def equal(self) -> bool:
        return self.left == self.right and not self.different_runs


def compare(left: Content, right: Content) -> list[Comparison]:
    """Compare every table, and every run of a fact: the same versions, from the same snapshots."""
    return [_table(name, left, right) for name in left.tables]


def _table(name: str, left: Content, right: Content) -> Comparison:
    ours, theirs = left.versions.get(name, {}), right.versions.get(name, {})
    runs = ours.keys() | theirs.keys()
    different = sorted({run.run for run in runs if ours.get(run) != theirs.get(run)})
    return Comparison(name, left.tables[name], right.tables[name], len(runs), tuple(different))
