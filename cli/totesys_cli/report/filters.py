"""How a reader filters without scripts: radio buttons, and rules of CSS that hide what they do not choose. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from totesys_cli.report.report_answers import Answer, Value


@dataclass(frozen=True)
class Choices:
    """The values of a column by which readers filter. A page names them by their places: they may be any text."""

    column: str
    values: Sequence[str]

    def mark(self, value: str) -> str:
        """The classes of what belongs to one value, for an attribute; none if it is not one of them."""
        return f" choice choice-{self.values.index(value) + 1}" if value in self.values else ""

    def mark_of(self, answer: Answer, row: Sequence[Value]) -> str:
        """The classes of a row of an answer."""
        if self.column not in answer.columns:
            return ""
        return self.mark(str(row[answer.columns.index(self.column)]))


def rules(periods: int, choices: int) -> str:
    """The rules for as many periods and choices; of the periods, the first is shown if the browser cannot choose."""
    chosen = [
        *(f"body:has(#period-{n}:checked) .period:not(.period-{n})" for n in range(periods)),
        *(f"body:has(#choice-{n}:checked) .choice:not(.choice-{n})" for n in range(1, choices + 1)),
    ]
    old = "@supports not selector(body:has(a)) { .filters, .period:not(.period-0) { display: none; } }\n"
    return "".join(f"{selector} {{ display: none; }}\n" for selector in chosen) + old
