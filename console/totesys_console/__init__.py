"""The console: pages for operators, served by each service, that show the whole pipeline and trigger its actions.

It reads the lake, the queues and the state of its own service. It writes nothing but messages to the queues.
"""
