"""Signed links: `/images/<key>?w=400&exp=...&kid=...&sig=...` opens one image until a time, to whoever has it. Pure.

The signature is the HMAC-SHA-256, in base64url without padding, of `v1`, `images`, the key and our parameters but
`sig`, on a line each; host, path before the key, and the order of parameters do not matter. `docs/links.md` shows it in
other languages, and `tests/vectors/links.json` has examples.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote

from elastic_images.core.errors import InvalidRequest, SignatureExpired, SignatureInvalid
from elastic_images.core.rendition_query import SIGNATURE_PARAMETERS, our_parameters

MAX_LINK_SECONDS = 365 * 86_400
"""How long a link that we make may last."""
_KIND = "v1\nimages\n"
# The last of 43 characters has two bits that mean nothing: texts are compared, so only one spelling is right.
_SIGNATURE = re.compile(r"[A-Za-z0-9_-]{43}", re.ASCII).fullmatch
is_key_id = re.compile(r"[0-9a-f]{8}", re.ASCII).fullmatch
_MOMENT = re.compile(r"[0-9]{1,12}", re.ASCII).fullmatch


@dataclass(frozen=True, slots=True)
class Signature:
    """The signature of a link, not yet judged."""

    kid: str
    """The id of the key that is said to have signed."""
    expires_at: int
    """Seconds since 1970-01-01 UTC."""
    sig: str
    parameters: str
    """What is signed beside the key (`canonical`)."""


def canonical(parameters: Mapping[str, str]) -> str:
    """Parameters as they are signed: percent-encoded by RFC 3986, sorted by name; without `sig`."""
    return "&".join(
        f"{quote(name, safe='')}={quote(parameters[name], safe='')}" for name in sorted(parameters) if name != "sig"
    )


def string_to_sign(key: str, parameters: Mapping[str, str]) -> str:
    """What is signed for an image. `parameters`: ours, `exp` and `kid` among them, decoded."""
    return f"{_KIND}{unicodedata.normalize('NFC', key)}\n{canonical(parameters)}"


def sign(secret: str, text: str) -> str:
    """The signature of a text, with a key's secret as people see it: 43 characters."""
    made = hmac.digest(secret.encode(), text.encode(), hashlib.sha256)
    return base64.urlsafe_b64encode(made).rstrip(b"=").decode()


def signed_query(secret: str, kid: str, key: str, parameters: Mapping[str, str], expires_at: int) -> str:
    """The query of a link to `key`, with these parameters of a rendition."""
    given = {**parameters, "exp": str(expires_at), "kid": kid}
    return f"{canonical(given)}&sig={sign(secret, string_to_sign(key, given))}"


def parse_signature(query: str) -> Signature | None:
    """The signature in a query; None if there is none.

    Raises:
        InvalidRequest: a part of it is missing or given twice, or `exp` is no time.
        SignatureInvalid: `kid` or `sig` has another form.
    """
    return signature_of(our_parameters(query))


def signature_of(given: Mapping[str, str]) -> Signature | None:
    """As `parse_signature`, for all parameters that are signed."""
    missing = [name for name in SIGNATURE_PARAMETERS if name not in given]
    if len(missing) == len(SIGNATURE_PARAMETERS):
        return None
    if missing:
        raise InvalidRequest(f"The link has no {' and no '.join(missing)}: copy all of it.")
    kid, moment, sig = given["kid"], given["exp"], given["sig"]
    if not _MOMENT(moment):
        raise InvalidRequest("exp is the time when the link ends, in whole seconds since 1970: copy all of the link.")
    if not _SIGNATURE(sig):
        raise SignatureInvalid("A signature has 43 characters of base64url, without padding: copy all of the link.")
    if not is_key_id(kid):
        raise SignatureInvalid("kid has 8 of the digits 0-9 and a-f: copy all of the link.")
    return Signature(kid, int(moment), sig, canonical(given))


def is_right(secret: str, signature: Signature, text: str) -> bool:
    """Whether the secret's owner signed this text. Takes as long for any signature."""
    return hmac.compare_digest(sign(secret, text), signature.sig)


def check_signature(secret: str | None, signature: Signature, key: str, now: float) -> None:
    """Return if the link opens the image now. `secret`: its key's; None if that is unknown or revoked.

    Raises:
        SignatureInvalid: it was signed with another key, or for another image or other parameters.
        SignatureExpired: it is right, and late.
    """
    check_text(secret, signature, f"{_KIND}{key}\n{signature.parameters}", now)


def check_text(secret: str | None, signature: Signature, text: str, now: float) -> None:
    """As `check_signature`, for links that sign another text."""
    if secret is None or not is_right(secret, signature, text):
        raise SignatureInvalid(
            "This link was changed, is for another image, or its key was revoked: use it as it was made, or ask for a "
            "new one."
        )
    if now >= signature.expires_at:
        raise SignatureExpired("The time of this link is over: ask whoever gave it to you for a new one.")
