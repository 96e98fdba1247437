"""Ingest: extracts what changed in the source database into numbered runs of CSV in the lake.

It copies rows as Postgres prints them, and leaves parsing and modelling to transform.
"""
