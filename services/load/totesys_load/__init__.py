"""Load: brings star-schema Parquet into the warehouse, run by run, with a ledger of what each run wrote.

It writes rows as transform built them, and reads the source only for a scheduled verification.
"""
