"""Other ways to move the same rows: Postgres alone, dlt, and a student's script."""
