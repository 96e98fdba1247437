"""`totesys verify --repair`: asks ingest for the rows that are wrong, until the warehouse equals the source."""

from collections.abc import Mapping, Sequence

# A key has at most 20 characters, a message at most 256 KB.
KEYS_IN_A_MESSAGE = 5000
POLL_SECONDS = 1.0

Keys = Mapping[str, Sequence[int]]
