"""Warm pulls: a node takes the hottest entries of its new partitions from their previous owners."""
