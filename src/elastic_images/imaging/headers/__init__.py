"""The structure of each format, as far as bounds need it."""
