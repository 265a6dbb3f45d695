"""Automatic mode: decides on a size and records each decision."""
