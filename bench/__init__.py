"""How fast the system is, beside the limit and beside others: `make bench`."""
