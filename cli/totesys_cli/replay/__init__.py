"""Replay: runs are done again by the services, each in the place of what it wrote."""
