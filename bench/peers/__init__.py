"""Others that move the same rows: the bare limit, dlt, and a student's script."""
