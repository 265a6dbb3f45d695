"""Warming: a node that gains partitions copies their entries from the previous owners."""
