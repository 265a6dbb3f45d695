"""Checks a running system for stale and failed reads, while it resizes and its processes die."""
