"""The pool map and its members, kept in the database; routing to nodes."""
