"""The lake: two buckets of immutable objects, and the records that commit a run."""
