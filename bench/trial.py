"""What a case gets: the server at one level, and where its figures go."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from bench.bench_server import BenchServer
from bench.measurement import TOTESYS, Case, Measurement, Record
from bench.sizes import Size

Say = Callable[[str], None]


@dataclass(frozen=True)
class Trial:
    """The cases to measure at the server's present number of orders. `say` reports each step as it begins."""

    size: Size
    server: BenchServer
    cases: frozenset[Case]
    report: Record
    say: Say

    def record(
        self, case: Case, subject: str, quantity: str, value: float, *, contender: str = TOTESYS, **more: Any
    ) -> None:
        """Record a figure if its case is measured at this level: one load can serve several cases.

        `more` are the other fields of `Measurement`: round, rows, verified.
        """
        if case in self.cases:
            self.report(
                Measurement(
                    case=case,
                    contender=contender,
                    subject=subject,
                    orders=self.server.orders,
                    quantity=quantity,
                    value=value,
                    **more,
                )
            )
