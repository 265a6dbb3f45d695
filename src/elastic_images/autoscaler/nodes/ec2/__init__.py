"""Nodes as EC2 instances."""
