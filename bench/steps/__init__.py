"""One table on its way from the source to the warehouse, step by step, each step beside its own limit."""
