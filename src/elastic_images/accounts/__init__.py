"""Users, roles, sessions and tokens; who may do what."""
