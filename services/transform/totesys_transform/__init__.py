"""Transform: builds star-schema Parquet from the CSV of a run, and quarantines rows that fit no warehouse table.

It works on the lake alone and never connects to a database.
"""
