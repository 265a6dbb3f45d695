"""Where image bytes are stored: one object per write, under a random name, never overwritten."""
