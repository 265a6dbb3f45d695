"""The course API, for clients of the system's predecessors."""
