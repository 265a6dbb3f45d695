"""Checks everything a system depends on, and says how to fix what is wrong."""
