"""Collect, publish and read back figures."""
