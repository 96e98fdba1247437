"""The company's simulated life, for trials and demonstrations; no service imports it."""

from totesys.model.simulation.counts import Counts
from totesys.model.simulation.generate import ROWS, fill, scaled_rows
from totesys.model.simulation.writer import simulate

__all__ = ["ROWS", "Counts", "fill", "scaled_rows", "simulate"]
