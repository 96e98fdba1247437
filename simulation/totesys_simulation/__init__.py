"""The company's simulated life, for trials and demonstrations; no service imports it."""

from totesys_simulation.counts import Counts
from totesys_simulation.generate import ROWS, fill, scaled_rows
from totesys_simulation.writer import simulate

__all__ = ["ROWS", "Counts", "fill", "scaled_rows", "simulate"]
