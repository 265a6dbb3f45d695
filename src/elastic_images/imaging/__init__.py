"""Recognising images, and making smaller ones."""
