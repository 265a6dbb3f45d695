"""Elastic Images: an image store whose cache grows and shrinks with its load."""

__version__ = "0.1.0"
