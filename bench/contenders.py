"""The names of whom is compared, as results show them."""

TOTESYS = "totesys"
PIPE = "psql pipe"
BINARY_PIPE = "psql pipe, binary"
SCAN = "one scan"
COUNT = "count by scan"
PRINT = "every row as text"
# dlt as its documentation begins, and set up for speed as `bench.peers.dlt_pipeline` says.
DLT = "dlt, pyarrow"
DLT_TUNED = {"pyarrow": "dlt, pyarrow, tuned", "connectorx": "dlt, connectorx, tuned"}


def student_script(orders: int) -> str:
    """The script's name, with the orders that it is given: fewer than the others have."""
    return f"student script ({orders:,} orders)"
