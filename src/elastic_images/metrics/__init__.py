"""Counters, samples, the publisher and the metric stores. See README.md."""
