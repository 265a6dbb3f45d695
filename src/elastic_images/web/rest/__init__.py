"""The REST API under `/api/images`."""
