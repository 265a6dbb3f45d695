"""Paths as clients see them: a proxy may publish an app below a path of its own (`X-Forwarded-Prefix`).

The app itself knows nothing of it: the guard completes `Location` headers and the paths of cookies, and pages begin
their paths with `root()`.
"""

from __future__ import annotations

from flask import g


def root() -> str:
    """What the paths of the current request's app begin with: empty, or a path without a slash at its end."""
    return str(g.get("root", ""))


def public_path(path: str) -> str:
    """A path of the app as the client sees it."""
    return root() + path
