"""Making secrets, and the form in which they are kept."""

from __future__ import annotations

import hashlib
import secrets

TOKEN_PREFIX = "ei_"  # noqa: S105 - how a token begins, so that people and scanners know one when they see it


def new_secret() -> str:
    """256 random bits, as 43 characters that are safe in cookies and headers."""
    return secrets.token_urlsafe(32)


def new_token() -> str:
    """The secret of an API token."""
    return TOKEN_PREFIX + new_secret()


def digest(secret: str) -> str:
    """What is kept of a random secret. No salt and no stretching: 256 random bits cannot be guessed from it."""
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()
