"""The cases, a module each. A figure is recorded only after its result was verified."""
