"""Metrics in a file that the autoscaler owns."""
