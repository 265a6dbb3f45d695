"""Objects on S3 or a compatible service."""
