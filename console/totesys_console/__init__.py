"""The console: one page for the whole pipeline, from the same records as `/runs`."""
