"""The benchmark: how fast the system is, beside its limits and beside other tools."""
