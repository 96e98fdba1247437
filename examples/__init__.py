"""Example companies, each with its own schema, model and simulation."""
