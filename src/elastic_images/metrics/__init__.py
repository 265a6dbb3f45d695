"""What is counted and kept: counters, samples, the publisher, the stores. README.md is the guide."""
