"""The lake: two buckets of immutable objects, and the records that commit runs.

It knows keys, records and conditional writes. What the stages do with a run is theirs.
"""
