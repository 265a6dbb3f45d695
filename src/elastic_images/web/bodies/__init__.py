"""Request bodies as streams: exact lengths and multipart forms."""
