"""Generating secrets, and the digests that are stored for them."""

from __future__ import annotations

import hashlib
import secrets

TOKEN_PREFIX = "ei_"  # noqa: S105 - a prefix that people and secret scanners recognise


def new_secret() -> str:
    """256 random bits, as 43 characters safe in cookies and headers."""
    return secrets.token_urlsafe(32)


def new_token() -> str:
    """A secret for an API token."""
    return TOKEN_PREFIX + new_secret()


def digest(secret: str) -> str:
    """The stored form of a random secret. 256 random bits need no salt and no stretching."""
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()
