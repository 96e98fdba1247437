"""What the suite has seen: a line for each fault."""

from dataclasses import dataclass, field
from statistics import median

from rich.console import Console
from rich.table import Table


@dataclass
class Outcome:
    """A fault, how often it was caused, and what came of it. `recoveries` are seconds."""

    fault: str
    rounds: int = 0
    runs: int = 0
    lost: int = 0
    double: int = 0
    half_runs: int = 0
    dead_letters: int = 0
    recoveries: list[float] = field(default_factory=list)

    @property
    def cells(self) -> tuple[str, ...]:
        numbers = (self.rounds, self.runs, self.lost, self.double, self.half_runs, self.dead_letters)
        times = (median(self.recoveries), max(self.recoveries)) if self.recoveries else ()
        return (self.fault, *(f"{number:,}" for number in numbers), *(f"{seconds:.1f}" for seconds in times))


HEADINGS = ("rounds", "runs", "lost", "double", "half runs", "dead letters", "recovery s", "worst s")


def show(outcomes: list[Outcome], seed: str, console: Console) -> None:
    """Print the table, with a line that sums it up."""
    table = Table(title=f"Faults, seed {seed}", title_justify="left")
    table.add_column("fault")
    for heading in HEADINGS:
        table.add_column(heading, justify="right")
    for outcome in outcomes:
        table.add_row(*outcome.cells)
    table.add_section()
    table.add_row(*total(outcomes).cells)
    console.print(table)


def total(outcomes: list[Outcome]) -> Outcome:
    """All of them as one."""
    return Outcome(
        "all",
        sum(o.rounds for o in outcomes),
        sum(o.runs for o in outcomes),
        sum(o.lost for o in outcomes),
        sum(o.double for o in outcomes),
        sum(o.half_runs for o in outcomes),
        sum(o.dead_letters for o in outcomes),
        [seconds for o in outcomes for seconds in o.recoveries],
    )
