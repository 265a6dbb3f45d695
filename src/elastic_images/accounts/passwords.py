"""Passwords: Argon2id (RFC 9106), and the same work whether the user exists or not."""

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
    """19 MiB and 2 passes, one lane: OWASP's recommendation; some 20 ms of one core."""
    return PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)


def new_password() -> str:
    """A password that nobody has to choose: 120 random bits in 20 characters."""
    return secrets.token_urlsafe(15)


class Passwords:
    """Hashes and checks passwords. Safe to share between threads.

    Two are worked on at a time, since each takes a core and 19 MiB; more wait, and are refused after 10 seconds.
    """

    def __init__(self, hasher: PasswordHasher | None = None) -> None:
        self._hasher = hasher or default_hasher()
        self._places = threading.BoundedSemaphore(_PARALLEL_HASHES)
        self._nobody = _hash_of_nothing(self._hasher)

    def check(self, password: str) -> str:
        """Give the password back as it will be hashed (normal form C: keyboards differ in how they send an accent).

        Raises:
            InvalidRequest: it is too short or too long, or no valid text.
        """
        if len(password) < MIN_PASSWORD_CHARACTERS:
            raise InvalidRequest(f"A password has at least {MIN_PASSWORD_CHARACTERS} characters.")
        prepared = _prepare(password)
        if prepared is None:
            raise InvalidRequest(f"A password has at most {MAX_PASSWORD_BYTES} bytes of UTF-8.")
        return prepared

    def hash(self, password: str) -> str:
        """The hash to keep. Raises InvalidRequest as `check`, Unavailable when too many are waiting."""
        prepared = self.check(password)
        with self._place():
            return self._hasher.hash(prepared)

    def verify(self, kept: str | None, password: str) -> bool:
        """Whether `password` is the one behind the hash `kept`.

        None, for a user who does not exist, costs as much and is False. Raises Unavailable when too many are waiting.
        """
        prepared = _prepare(password)
        with self._place():
            try:
                matches = self._hasher.verify(kept or self._nobody, prepared or "")
            except (VerificationError, InvalidHashError):
                return False
        return matches and kept is not None and prepared is not None

    def needs_rehash(self, kept: str) -> bool:
        """Whether the hash was made with other parameters than today's."""
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
    """A hash of no known password with the hasher's parameters, made without computing one."""
    salt, tag = (
        b64encode(secrets.token_bytes(size)).rstrip(b"=").decode() for size in (hasher.salt_len, hasher.hash_len)
    )
    costs = f"m={hasher.memory_cost},t={hasher.time_cost},p={hasher.parallelism}"
    return f"$argon2id$v=19${costs}${salt}${tag}"
