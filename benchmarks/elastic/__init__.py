"""Measures what a resize costs: misses, fetches from storage, latency, failed requests, bytes moved."""
