"""Keys for tests."""

from __future__ import annotations

from elastic_images.core.errors import InvalidKey
from elastic_images.core.keys import check_key


def is_key(text: str) -> bool:
    """Whether `text` is a valid key: a filter for generated ones."""
    try:
        check_key(text)
    except InvalidKey:
        return False
    return True
