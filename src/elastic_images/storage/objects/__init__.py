"""Where the bytes are kept: one object a write, under a name that the store makes, never overwritten."""
