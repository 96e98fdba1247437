"""DSNs as libpq reads them: URLs and keywords, service files, password files and the environment.

It resolves a DSN to its target and connects to nothing.
"""
