"""Maintenance of stored images: collecting garbage, checking, copying."""
