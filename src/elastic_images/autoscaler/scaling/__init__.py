"""Automatic mode: deciding on a size, and keeping each decision."""
