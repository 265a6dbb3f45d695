"""Upload links: `PUT /api/images/<key>?exp=...&kid=...&max_bytes=...&nonce=...&sig=...` stores one image, once. Pure.

They are signed like links that open an image (`signed_links`), but for a line: `v1`, `upload`. So neither does the
other's work. A link for a prefix has an empty key there, and the parameter `prefix`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from elastic_images.core.errors import SignatureInvalid
from elastic_images.core.rendition_query import SIGNATURE_PARAMETERS, chosen_parameters
from elastic_images.core.signed_links import Signature, canonical, check_text, sign, signature_of
from elastic_images.core.upload_nonce import UploadNonce
from elastic_images.core.visibility import Visibility, parse_visibility

_KIND = "v1\nupload\n"
_OURS = frozenset(("max_bytes", "nonce", "prefix", "visibility", *SIGNATURE_PARAMETERS))
_NONCE = re.compile(r"[0-9a-f]{32}", re.ASCII).fullmatch
_SIZE = re.compile(r"[1-9][0-9]{0,15}", re.ASCII).fullmatch


@dataclass(frozen=True, slots=True)
class UploadLink:
    """What a link allows, not yet judged."""

    signature: Signature
    nonce: str
    """What makes it good for one upload: 32 hex digits."""
    max_bytes: int
    prefix: str | None
    """It is for any one key that begins so, where there is no image yet. None: it is for one key."""
    visibility: Visibility | None
    """None: the usual one."""

    @property
    def once(self) -> UploadNonce:
        """The nonce as storage keeps it."""
        return UploadNonce(self.nonce, self.signature.expires_at)

    def check(self, secret: str | None, key: str, now: float) -> None:
        """Return if it is for this key now. Raises as `signed_links.check_signature`."""
        named = key if self.prefix is None else ""
        check_text(secret, self.signature, f"{_KIND}{named}\n{self.signature.parameters}", now)
        if self.prefix is not None and not key.startswith(self.prefix):
            raise SignatureInvalid(f"This link is for keys that begin with {self.prefix!r}.")


def upload_query(
    secret: str,
    kid: str,
    target: str,
    *,
    is_prefix: bool,
    nonce: str,
    max_bytes: int,
    visibility: Visibility | None,
    expires_at: int,
) -> str:
    """The query of an upload link, for the key or prefix `target`."""
    given = {"exp": str(expires_at), "kid": kid, "max_bytes": str(max_bytes), "nonce": nonce}
    given |= {"prefix": target} if is_prefix else {}
    given |= {"visibility": visibility} if visibility else {}
    signed = canonical(given)
    named = "" if is_prefix else target
    text = f"{_KIND}{named}\n{signed}"
    return f"{signed}&sig={sign(secret, text)}"


def parse_upload_link(query: str) -> UploadLink | None:
    """The upload link that a query makes of an address; None if it has no signature.

    Raises:
        InvalidRequest: a part of the signature is missing or given twice, or there is no such visibility.
        SignatureInvalid: `kid` or `sig` has another form, or it is a link to an image.
    """
    given = chosen_parameters(query, _OURS)
    signature = signature_of(given)
    if signature is None:
        return None
    if not (_NONCE(given.get("nonce", "")) and _SIZE(given.get("max_bytes", ""))):
        raise SignatureInvalid("This is not a whole upload link: a link that opens an image stores none.")
    visibility = parse_visibility(given["visibility"]) if "visibility" in given else None
    return UploadLink(signature, given["nonce"], int(given["max_bytes"]), given.get("prefix"), visibility)
