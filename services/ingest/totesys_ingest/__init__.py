"""Ingest: what changed in the source becomes numbered runs of CSV."""
