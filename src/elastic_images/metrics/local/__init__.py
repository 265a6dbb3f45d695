"""Metrics in a file of the autoscaler."""
