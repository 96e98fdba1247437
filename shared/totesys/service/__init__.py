"""The shell of every service: HTTP, the consumer of its queue, start and stop.

It runs a stage and knows nothing of what the stage does. Pages for people are in `totesys_console`.
"""
