"""Metrics in CloudWatch."""
