"""The pool map and its members, kept in the database, and the way to the nodes."""
