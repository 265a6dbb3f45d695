"""Valid user names, and when two names are the same. Pure."""

from __future__ import annotations

import unicodedata

from elastic_images.core.errors import InvalidRequest

MAX_NAME_CHARACTERS = 64
_PUNCTUATION = frozenset("._@+-")
_RESERVED = frozenset({"anonymous"})


def check_name(text: str) -> str:
    """Return `text` if it is a valid user name.

    That is 1 to 64 letters, digits and `. _ @ + -`, starting with a letter or digit.

    Raises:
        InvalidRequest: names the broken rule.
    """
    if not 1 <= len(text) <= MAX_NAME_CHARACTERS:
        raise InvalidRequest(f"A user name must have 1 to {MAX_NAME_CHARACTERS} characters.")
    if not unicodedata.is_normalized("NFC", text):
        raise InvalidRequest("A user name must be in Unicode normal form C (NFC).")
    if not text[0].isalnum() or not all(_is_allowed(character) for character in text):
        raise InvalidRequest("A user name has letters, digits and . _ @ + - only, and starts with a letter or digit.")
    if fold_name(text) in _RESERVED:
        raise InvalidRequest(f"The user name {text!r} is reserved.")
    return text


def fold_name(text: str) -> str:
    """The form for comparing names: no one can register `Admin` beside `admin`, or use full-width letters to do so.

    Works for any text; invalid Unicode maps to a form that no valid name has.
    """
    valid = text.encode("utf-8", "replace").decode()
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", valid).casefold())


def _is_allowed(character: str) -> bool:
    return character in _PUNCTUATION or unicodedata.category(character)[0] in "LMN"
