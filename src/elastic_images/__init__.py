"""Elastic Images: an image store whose cache grows and shrinks with its load."""
