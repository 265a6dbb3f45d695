"""What clients of good will notice while others attack. `python -m benchmarks.attacks --help`."""
