"""`totesys status` and `totesys runs`: the whole pipeline, from the lake's records and the queues alone."""
