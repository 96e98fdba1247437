"""The library of the services, the console and the command: tables, the lake, databases, the service shell.

It declares totesys in `totesys.model`, and nothing else in it names a table or a column. It imports no service.
"""
