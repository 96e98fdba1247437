"""What a case is given: the stand at one level, and whom to tell."""

from collections.abc import Callable
from dataclasses import dataclass

from bench.contenders import TOTESYS
from bench.measurement import Case, Measurement, Record
from bench.sizes import Size
from bench.stand import Stand

Say = Callable[[str], None]

# Memory is given in MB of a million bytes.
MB = 1_000_000


@dataclass(frozen=True)
class Trial:
    """The cases that are measured at the stand's present number of orders. `say` hears of each step as it begins."""

    size: Size
    stand: Stand
    cases: frozenset[Case]
    report: Record
    say: Say

    def record(
        self,
        case: Case,
        subject: str,
        quantity: str,
        value: float,
        *,
        contender: str = TOTESYS,
        number: int = 1,
        rows: int | None = None,
        verified: bool | None = None,
    ) -> None:
        """Record a figure of round `number`, if its case is measured at this level: one load can serve several."""
        if case in self.cases:
            self.report(
                Measurement(
                    case=case,
                    contender=contender,
                    subject=subject,
                    orders=self.stand.orders,
                    quantity=quantity,
                    value=value,
                    round=number,
                    rows=rows,
                    verified=verified,
                )
            )
