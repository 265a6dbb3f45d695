"""Backups of a whole system: rows of one moment and every object they name, incremental, in a folder or a bucket."""
