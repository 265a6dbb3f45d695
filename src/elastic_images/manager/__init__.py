"""The administrators' pages and their JSON."""
