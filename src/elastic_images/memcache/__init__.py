"""One cache node."""
