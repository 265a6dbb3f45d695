"""Password hashing with Argon2id (RFC 9106), at the same cost whether or not the user exists."""

from __future__ import annotations

import secrets
import unicodedata
from base64 import b64encode

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from elastic_images.accounts.hash_places import HashPlaces, Place
from elastic_images.core.errors import InvalidRequest
from elastic_images.process.politeness import politely

MIN_PASSWORD_CHARACTERS = 10
MAX_PASSWORD_BYTES = 1024
_MIN_SCORE = 2
"""Of zxcvbn's 0 to 4: it takes more than a million guesses."""
_JUDGED_CHARACTERS = 24
"""A strong beginning is enough, and judging a long text of replaced letters takes a second."""


def default_hasher() -> PasswordHasher:
    """19 MiB, 2 passes, 1 lane, as OWASP recommends; about 20 ms of one core."""
    return PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)


def new_password() -> str:
    """A generated password: 120 random bits in 20 characters."""
    return secrets.token_urlsafe(15)


class Passwords:
    """Hashes and checks passwords. Thread-safe."""

    def __init__(self, hasher: PasswordHasher | None = None, places: HashPlaces | None = None) -> None:
        self._hasher = hasher or default_hasher()
        self.places = places or HashPlaces()
        self._nobody = _hash_of_nothing(self._hasher)

    def check(self, password: str, name: str = "") -> None:
        """Whether `password` may become the password of the user `name`.

        Raises:
            InvalidRequest: it is too short, too long, too common, or not valid text.
        """
        if len(password) < MIN_PASSWORD_CHARACTERS:
            raise InvalidRequest(f"A password must have at least {MIN_PASSWORD_CHARACTERS} characters.")
        prepared = _prepare(password)
        if prepared is None:
            raise InvalidRequest(f"A password may have at most {MAX_PASSWORD_BYTES} bytes of UTF-8.")
        if _score(prepared, name) < _MIN_SCORE:
            raise InvalidRequest("This password is too easy to guess. Use a few unrelated words, or a generated one.")

    def hash(self, password: str) -> str:
        """The hash to store. Raises InvalidRequest for invalid text, and Unavailable when too many are waiting."""
        prepared = _prepare(password)
        if prepared is None:
            raise InvalidRequest(f"A password may have at most {MAX_PASSWORD_BYTES} bytes of UTF-8.")
        with self.places.known():
            return politely(lambda: self._hasher.hash(prepared))

    def verify(self, kept: str | None, password: str, place: Place | None = None) -> bool:
        """Whether `password` matches the stored hash. `place`: see `HashPlaces.admitted`.

        None (an unknown user) takes as long and returns False. Raises Unavailable when too many are waiting.
        """
        prepared = _prepare(password)
        with (place or self.places.known)():
            try:
                matches = politely(lambda: self._hasher.verify(kept or self._nobody, prepared or ""))
            except (VerificationError, InvalidHashError):
                return False
        return matches and kept is not None and prepared is not None

    def needs_rehash(self, kept: str) -> bool:
        """Whether the hash was made with outdated parameters."""
        return self._hasher.check_needs_rehash(kept)


def _score(password: str, name: str) -> int:
    # Imported here: it takes 9 MB once used, and most processes never see a new password.
    from zxcvbn_rs_py import zxcvbn

    obvious = ["elastic", "images", "elasticimages", name[:_JUDGED_CHARACTERS]]
    return int(zxcvbn(password[:_JUDGED_CHARACTERS], obvious).score)


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
