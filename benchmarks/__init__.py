"""Measurements that anyone can repeat: `python benchmarks/serving.py`."""
