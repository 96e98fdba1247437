"""The simulator: generates the source database of totesys and changes it, for demos, tests and benchmarks.

It writes to the source only. No service imports it.
"""

from totesys_simulation.faults import DRIFT, QUARANTINE
from totesys_simulation.generate import ROWS, fill, scaled_rows
from totesys_simulation.worker import Counts
from totesys_simulation.writer import simulate

__all__ = ["DRIFT", "QUARANTINE", "ROWS", "Counts", "fill", "scaled_rows", "simulate"]
