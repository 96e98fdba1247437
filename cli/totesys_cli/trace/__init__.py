"""Trace: from a row of the warehouse back to its run and its objects in the lake."""
