"""Users, sessions and tokens as JSON. Times are seconds since the epoch."""

from __future__ import annotations

from typing import Any

from elastic_images.accounts.principal import SCOPES
from elastic_images.accounts.sessions import Session
from elastic_images.accounts.tokens import Token
from elastic_images.accounts.users import User


def user_json(user: User) -> dict[str, Any]:
    """A user, without their password's hash."""
    return _named(user, "id", "name", "role", "disabled", "created_at")


def session_json(session: Session) -> dict[str, Any]:
    """A session, without its secret."""
    shown = _named(session, "id", "created_at", "last_seen_at", "expires_at", "address", "user_agent")
    return shown | {"user": session.user_name}


def token_json(token: Token) -> dict[str, Any]:
    """A token, without its secret."""
    shown = _named(token, "id", "label", "created_at", "last_used_at", "expires_at", "revoked_at")
    return shown | {"user": token.user_name, "scopes": [scope for scope in SCOPES if scope in token.scopes]}


def _named(record: object, *names: str) -> dict[str, Any]:
    return {name: getattr(record, name) for name in names}
