"""Rebuild: a new warehouse from nothing but the lake."""
