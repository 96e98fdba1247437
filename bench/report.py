"""Results as Markdown. Pure: every figure in the text is of the measurements."""

from collections.abc import Iterable

from bench.figures import Figures
from bench.markdown import number, table
from bench.measurement import Case, Measurement
from bench.results import Head, Results
from bench.sections import section
from bench.targets import Target, targets


def report(results: Results, charts: Iterable[tuple[str, str]] = ()) -> str:
    """The whole report. `charts` are titles and addresses, relative to where the report stands."""
    figures = Figures(results.measurements)
    measured = [case for case in Case if figures.find(case)]
    parts = [
        _head(results),
        _targets(targets(figures)),
        *(f"![{title}]({address})\n" for title, address in charts),
        *(section(case, figures) for case in measured),
    ]
    return "\n".join(part for part in parts if part)


def _head(results: Results) -> str:
    head = results.head
    facts = {
        "when": f"{head.started:%Y-%m-%d %H:%M} UTC",
        "size": f"{head.size}: {head.about}",
        "machine": _machine(head),
        "system": head.machine.system,
        "Postgres": f"{head.machine.postgres}, {_durability(head)}",
        "Python": head.machine.python,
        "libraries": ", ".join(f"{name} {version}" for name, version in head.machine.libraries.items()),
        "verified": _verified(results.measurements),
    }
    early = "" if results.complete else "\nThe run was ended early: what is missing here was not measured.\n"
    failed = "".join(f"\nFailed, so that figures of it are missing: {failure}\n" for failure in results.failures)
    return f"# Results\n\n{table(['', ''], facts.items(), texts=2)}{early}{failed}\n{_HOW_TO_READ}"


_HOW_TO_READ = """A figure is the median of its rounds, with the least and the greatest in parentheses where there were
several. A ratio is the median of the rounds' own ratios: both sides of each were measured in the same round.
"""


def _machine(head: Head) -> str:
    machine = head.machine
    return f"{machine.cores} cores of {machine.cpu}, {machine.memory_bytes / 1024**3:.0f} GiB of memory"


def _durability(head: Head) -> str:
    return "durable: each commit waits for the disk" if head.durable else "not durable: no commit waits for the disk"


def _verified(measurements: Iterable[Measurement]) -> str:
    compared = [measurement.verified for measurement in measurements if measurement.verified is not None]
    if not compared:
        return "nothing: no warehouse was compared with its source"
    differing = compared.count(False)
    if differing:
        return f"**{differing} of {len(compared)} figures are of a warehouse that differs from its source**"
    return f"{len(compared)} figures are of warehouses that equal their source, every row and column"


def _targets(found: Iterable[Target]) -> str:
    rows = [[*target_cells(target), "yes" if target.met else "**missed**"] for target in found]
    return f"## Targets\n\n{table(['target', 'wanted', 'figure', 'met'], rows)}" if rows else ""


def target_cells(target: Target) -> tuple[str, str, str]:
    """A target's name, what was wanted, and the figure."""
    unit = target.unit if target.unit == "×" else f" {target.unit}"
    aim = "" if target.aim is None else f" (aim: {number(target.aim)}{unit})"
    return target.name, f"{target.sign} {number(target.bound)}{unit}{aim}", f"{number(target.figure)}{unit}"
