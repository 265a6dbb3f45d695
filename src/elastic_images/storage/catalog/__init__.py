"""The catalog: which images there are, and every change of them, in the database."""
