"""Status: the whole pipeline in one screen, from the lake's records and the queues alone."""
