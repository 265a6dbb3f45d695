"""Password hashing with Argon2id (RFC 9106), at the same cost whether or not the user exists."""

from __future__ import annotations

import secrets
import threading
import unicodedata
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from elastic_images.core.errors import InvalidRequest, Unavailable

MIN_PASSWORD_CHARACTERS = 8
MAX_PASSWORD_BYTES = 1024
_PARALLEL_HASHES = 2
_WAIT_SECONDS = 10.0


def default_hasher() -> PasswordHasher:
    """19 MiB, 2 passes, 1 lane, as OWASP recommends; about 20 ms of one core."""
    return PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)


def new_password() -> str:
    """A generated password: 120 random bits in 20 characters."""
    return secrets.token_urlsafe(15)


class Passwords:
    """Hashes and checks passwords. Thread-safe.

    Each hash takes a core and 19 MiB, so two run at a time; others wait, and are refused after 10 seconds.
    """

    def __init__(self, hasher: PasswordHasher | None = None) -> None:
        self._hasher = hasher or default_hasher()
        self._places = threading.BoundedSemaphore(_PARALLEL_HASHES)
        self._nobody = _hash_of_nothing(self._hasher)

    def check(self, password: str) -> str:
        """Return the password as it is hashed: in normal form C, since keyboards send accents differently.

        Raises:
            InvalidRequest: it is too short, too long, or not valid text.
        """
        if len(password) < MIN_PASSWORD_CHARACTERS:
            raise InvalidRequest(f"A password must have at least {MIN_PASSWORD_CHARACTERS} characters.")
        prepared = _prepare(password)
        if prepared is None:
            raise InvalidRequest(f"A password may have at most {MAX_PASSWORD_BYTES} bytes of UTF-8.")
        return prepared

    def hash(self, password: str) -> str:
        """The hash to store. Raises InvalidRequest like `check`, and Unavailable when too many are waiting."""
        prepared = self.check(password)
        with self._place():
            return self._hasher.hash(prepared)

    def verify(self, kept: str | None, password: str) -> bool:
        """Whether `password` matches the stored hash.

        None (an unknown user) takes as long and returns False. Raises Unavailable when too many are waiting.
        """
        prepared = _prepare(password)
        with self._place():
            try:
                matches = self._hasher.verify(kept or self._nobody, prepared or "")
            except (VerificationError, InvalidHashError):
                return False
        return matches and kept is not None and prepared is not None

    def needs_rehash(self, kept: str) -> bool:
        """Whether the hash was made with outdated parameters."""
        return self._hasher.check_needs_rehash(kept)

    @contextmanager
    def _place(self) -> Iterator[None]:
        if not self._places.acquire(timeout=_WAIT_SECONDS):
            raise Unavailable("Too many people are logging in at once.", retry_after_seconds=5)
        try:
            yield
        finally:
            self._places.release()


def _prepare(password: str) -> str | None:
    normal = unicodedata.normalize("NFC", password)
    try:
        return normal if len(normal.encode()) <= MAX_PASSWORD_BYTES else None
    except UnicodeEncodeError:
        return None


def _hash_of_nothing(hasher: PasswordHasher) -> str:
    """A well-formed hash with the hasher's parameters that matches no password; costs nothing to make."""
    salt, tag = (
        b64encode(secrets.token_bytes(size)).rstrip(b"=").decode() for size in (hasher.salt_len, hasher.hash_len)
    )
    costs = f"m={hasher.memory_cost},t={hasher.time_cost},p={hasher.parallelism}"
    return f"$argon2id$v=19${costs}${salt}${tag}"
