"""Trace: finds the run, the snapshot and the lake objects that a row of the warehouse came from.

It reads the ledger and the lake, and changes neither.
"""
