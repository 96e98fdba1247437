"""A read-only role for analysts."""
