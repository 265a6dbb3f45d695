"""Accounts for tests of the apps."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from argon2 import PasswordHasher

from elastic_images.accounts.accounts import Accounts
from elastic_images.accounts.passwords import Passwords
from elastic_images.accounts.tables import login_attempts, sessions, signing_keys, tokens, users
from elastic_images.database.base import metadata
from elastic_images.database.engine import open_engine

PASSWORD = "correct horse"


@contextmanager
def accounts_of(folder: Path, **roles: str) -> Iterator[Accounts]:
    """Accounts of these users, by name and role, with `PASSWORD` and cheap password hashes."""
    engine = open_engine(f"sqlite:///{folder}/accounts.db")
    metadata.create_all(engine, tables=[users, sessions, tokens, signing_keys, login_attempts])
    fast = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    accounts = Accounts(engine, session_seconds=3600, secret_key="a test's", passwords=Passwords(fast))
    for name, role in roles.items():
        accounts.users.add(name, PASSWORD, role)
    try:
        yield accounts
    finally:
        accounts.close()
