"""Cookies that show that a browser logged in to an account before. Pure.

Nobody is logged in by one. It lets its browser try a password where failures from elsewhere would keep it out: see
`limits`.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets

from elastic_images.accounts.names import fold_name

LIFETIME_SECONDS = 365 * 86_400
_NAME_CHARACTERS = 12


class KnownBrowsers:
    """Makes and checks the cookies' values. Immutable."""

    def __init__(self, secret_key: str) -> None:
        self._key = hashlib.sha256(b"known-browsers:" + secret_key.encode()).digest()

    def cookie_suffix(self, name: str) -> str:
        """Tells an account's cookie from others of the same browser, without giving away the account's name."""
        return self._sign("name", name)[:_NAME_CHARACTERS]

    def issue(self, name: str) -> str:
        """A value for a browser that has just logged in to the account `name`."""
        browser = secrets.token_urlsafe(12)
        return f"{browser}.{self._sign(browser, name)}"

    def recognise(self, name: str, value: str) -> str | None:
        """What identifies the browser; None if the value was not issued for this account."""
        browser, _, signature = value.partition(".")
        right = hmac.compare_digest(signature.encode("utf-8", "replace"), self._sign(browser, name).encode())
        return browser if right else None

    def _sign(self, browser: str, name: str) -> str:
        text = f"{browser}\0{fold_name(name)}".encode("utf-8", "surrogateescape")
        return hmac.new(self._key, text, hashlib.sha256).hexdigest()
