"""The tables of users, sessions, tokens, signing keys and login attempts.

Secrets are stored only as digests: Argon2id for passwords, SHA-256 for session and token secrets of 256 random bits.
"""

from __future__ import annotations

from sqlalchemy import Boolean, Column, ForeignKey, Index, Integer, String, Table

from elastic_images.database.base import KeyText, Seconds, metadata

DIGEST_CHARACTERS = 64
"""Hexadecimal SHA-256."""

users = Table(
    "users",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", KeyText, nullable=False),
    Column("folded_name", KeyText, nullable=False, unique=True),
    Column("password_hash", String(255), nullable=False),
    Column("role", String(16), nullable=False),
    Column("disabled", Boolean(create_constraint=False), nullable=False),
    Column("created_at", Seconds, nullable=False),
)
"""`name` as entered, `folded_name` for comparison (see `names`). Rows are never deleted: images have owners."""

sessions = Table(
    "sessions",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("digest", String(DIGEST_CHARACTERS), nullable=False, unique=True),
    Column("user_id", ForeignKey("users.id"), nullable=False),
    Column("form_token", String(64), nullable=False),
    Column("created_at", Seconds, nullable=False),
    Column("last_seen_at", Seconds, nullable=False),
    Column("expires_at", Seconds, nullable=False),
    Column("address", String(64), nullable=False),
    Column("user_agent", String(255), nullable=False),
    Index("ix_sessions_user_id", "user_id"),
    Index("ix_sessions_expires_at", "expires_at"),
)

tokens = Table(
    "tokens",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("digest", String(DIGEST_CHARACTERS), nullable=False, unique=True),
    Column("user_id", ForeignKey("users.id"), nullable=False),
    Column("label", String(100), nullable=False),
    Column("scopes", String(64), nullable=False),
    Column("created_at", Seconds, nullable=False),
    Column("last_used_at", Seconds, nullable=True),
    Column("expires_at", Seconds, nullable=True),
    Column("revoked_at", Seconds, nullable=True),
    Index("ix_tokens_user_id", "user_id"),
)

signing_keys = Table(
    "signing_keys",
    metadata,
    Column("kid", String(8), primary_key=True),
    Column("salt", String(32), nullable=False),
    Column("user_id", ForeignKey("users.id"), nullable=False),
    Column("name", String(100), nullable=False),
    Column("created_at", Seconds, nullable=False),
    Column("last_used_at", Seconds, nullable=True),
    Column("revoked_at", Seconds, nullable=True),
    Index("ix_signing_keys_user_id", "user_id"),
)
"""Their secrets follow from `salt` and the installation's secret key (`signing_keys`)."""

login_attempts = Table(
    "login_attempts",
    metadata,
    Column("subject", String(80), primary_key=True),
    Column("attempts", Integer, nullable=False),
    Column("window_started_at", Seconds, nullable=False),
    Index("ix_login_attempts_window_started_at", "window_started_at"),
)
"""Failed and pending attempts per account (hashed name) and per address."""
