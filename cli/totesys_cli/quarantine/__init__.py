"""Quarantine: the rows that could not become warehouse rows."""
