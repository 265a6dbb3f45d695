"""What a user may be called, and when two names are the same. Pure."""

from __future__ import annotations

import unicodedata

from elastic_images.core.errors import InvalidRequest

MAX_NAME_CHARACTERS = 64
_PUNCTUATION = frozenset("._@+-")
_RESERVED = frozenset({"anonymous"})


def check_name(text: str) -> str:
    """Give `text` back where it is a user name.

    That is 1 to 64 letters, digits and `. _ @ + -`, beginning with a letter or digit.

    Raises:
        InvalidRequest: with the rule that is broken.
    """
    if not 1 <= len(text) <= MAX_NAME_CHARACTERS:
        raise InvalidRequest(f"A user name has 1 to {MAX_NAME_CHARACTERS} characters.")
    if not unicodedata.is_normalized("NFC", text):
        raise InvalidRequest("A user name is Unicode in normal form C (NFC).")
    if not text[0].isalnum() or not all(_is_allowed(character) for character in text):
        raise InvalidRequest("A user name has letters, digits and . _ @ + - only, and begins with a letter or digit.")
    if fold_name(text) in _RESERVED:
        raise InvalidRequest(f"{text!r} is not free as a user name.")
    return text


def fold_name(text: str) -> str:
    """The form in which names are compared: nobody shall pass for `Admin` beside `admin`, or by letters of full width.

    Any text has one; what is no valid Unicode gets a form that no name has.
    """
    valid = text.encode("utf-8", "replace").decode()
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", valid).casefold())


def _is_allowed(character: str) -> bool:
    return character in _PUNCTUATION or unicodedata.category(character)[0] in "LMN"
