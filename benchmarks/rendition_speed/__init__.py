"""Renditions beside those of other servers: see `benchmarks/renditions.py`."""
