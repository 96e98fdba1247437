"""Trigger: a stage is woken by a message, as an event or the schedule would."""
