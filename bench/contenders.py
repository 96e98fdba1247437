"""The names of whom is compared, as results show them."""

TOTESYS = "totesys"
PIPE = "psql pipe"
SCAN = "one scan"
# By dlt's own names of its backends.
DLT = {"pyarrow": "dlt, pyarrow", "connectorx": "dlt, connectorx"}


def student_script(orders: int) -> str:
    """The script's name, with the orders that it is given: fewer than the others have."""
    return f"student script ({orders:,} orders)"
