"""Who asks for an image by a signed link: the account of the key that signed it, as it is now."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple, Protocol

from elastic_images.accounts.principal import Principal
from elastic_images.accounts.signing_keys import SigningAccount
from elastic_images.core.errors import ElasticImagesError
from elastic_images.core.signed_links import Signature, check_signature, parse_signature
from elastic_images.front.reads import Environ
from elastic_images.web.reads.remembered import Remembered
from elastic_images.web.request_path import IMAGES, key_in_path

if TYPE_CHECKING:
    from elastic_images.web.reads.viewers import Viewer

_RIGHT = 4096
_RIGHT_CHARACTERS = 2048
"""Of path and query: parameters that mean nothing can make an address as long as anybody likes."""


class Keys(Protocol):
    """The part of `SigningKeys` that is needed here."""

    def find(self, kid: str) -> SigningAccount | None:
        """See `SigningKeys.find`."""

    def note_use(self, account: SigningAccount) -> None:
        """See `SigningKeys.note_use`."""


class _Signer(NamedTuple):
    account: SigningAccount
    viewer: Viewer


class LinkViewers:
    """Judges signed links. Safe to share between threads."""

    def __init__(
        self,
        keys: Keys,
        viewer_of: Callable[[Principal], Viewer],
        clock: Callable[[], float],
        now: Callable[[], float] = time.time,
    ) -> None:
        """`clock` counts how long keys are remembered; `now` is the time by which links end."""
        self._keys = keys
        self._viewer_of = viewer_of
        self._now = now
        self._signers: Remembered[str, _Signer | None] = Remembered(clock)
        self._right: dict[tuple[str, str], tuple[Signature, str]] = {}
        """Signatures found right, by path and query, with the secret: a hot link is not computed at each hit."""

    def signature_of(self, environ: Environ) -> Signature | None:
        """The signature of a request's address. Raises as `parse_signature`."""
        query = environ.get("QUERY_STRING")
        # A name may be percent-encoded as well.
        if not query or not ("sig=" in query or "%" in query):
            return None
        found = self._right.get((environ.get("PATH_INFO", ""), query))
        return found[0] if found is not None else parse_signature(query)

    def known(self, environ: Environ, signature: Signature) -> Viewer | None:
        """Whose link this is, without waiting; None if only `find` can tell, or refuses it."""
        signer = self._signers.get(signature.kid)
        try:
            return self._judge(environ, signature, signer) if signer else None
        except ElasticImagesError:
            return None

    def find(self, environ: Environ, signature: Signature) -> Viewer:
        """As `known`, from the database if need be.

        Raises:
            InvalidKey, SignatureInvalid, SignatureExpired: the link is not right.
            Unavailable: the database is not responding.
        """
        kid = signature.kid
        signer = self._signers.get(kid)
        if signer is not None:
            return self._judge(environ, signature, signer)
        # Unknown keys are not remembered, or those that somebody made up would push out others.
        signer = self._signers.look_up(kid, lambda: self._look_up(kid), lambda found: found is not None)
        viewer = self._judge(environ, signature, signer)
        if signer is not None:
            self._keys.note_use(signer.account)
        return viewer

    def forget(self) -> None:
        """Ask the database again for all keys."""
        self._signers.forget()

    def _look_up(self, kid: str) -> _Signer | None:
        account = self._keys.find(kid)
        return None if account is None else _Signer(account, self._viewer_of(account.principal))

    def _judge(self, environ: Environ, signature: Signature, signer: _Signer | None) -> Viewer:
        secret = None if signer is None else signer.account.secret
        address = environ.get("PATH_INFO", ""), environ.get("QUERY_STRING", "")
        if signer is None or self._right.get(address) != (signature, secret) or self._now() >= signature.expires_at:
            check_signature(secret, signature, key_in_path(environ, IMAGES), self._now())
            if sum(map(len, address)) <= _RIGHT_CHARACTERS:
                if len(self._right) >= _RIGHT:
                    self._right = {}
                self._right[address] = signature, str(secret)
        assert signer is not None  # noqa: S101 - without a secret, no signature is right
        return signer.viewer
