"""Users, sessions and tokens as JSON. Times are seconds since the epoch."""

from __future__ import annotations

from typing import Any

from elastic_images.accounts.principal import SCOPES
from elastic_images.accounts.sessions import Session
from elastic_images.accounts.tokens import Token
from elastic_images.accounts.users import User


def user_json(user: User) -> dict[str, Any]:
    """A user."""
    return {
        "id": user.id,
        "name": user.name,
        "role": user.role,
        "disabled": user.disabled,
        "created_at": user.created_at,
    }


def session_json(session: Session) -> dict[str, Any]:
    """A session, without its secret."""
    return {
        "id": session.id,
        "user": session.user_name,
        "created_at": session.created_at,
        "last_seen_at": session.last_seen_at,
        "expires_at": session.expires_at,
        "address": session.address,
        "user_agent": session.user_agent,
    }


def token_json(token: Token) -> dict[str, Any]:
    """A token, without its secret."""
    return {
        "id": token.id,
        "user": token.user_name,
        "label": token.label,
        "scopes": [scope for scope in SCOPES if scope in token.scopes],
        "created_at": token.created_at,
        "last_used_at": token.last_used_at,
        "expires_at": token.expires_at,
        "revoked_at": token.revoked_at,
    }
