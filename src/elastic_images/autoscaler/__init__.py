"""Changing the pool: resizes, node providers, the scaling loop."""
