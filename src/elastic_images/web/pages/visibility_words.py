"""Visibilities as people read them."""

from __future__ import annotations

from typing import NamedTuple

from elastic_images.accounts.access import Anonymous
from elastic_images.core.visibility import Visibility


class VisibilityWords(NamedTuple):
    """What pages call a visibility."""

    value: Visibility
    name: str
    icon: str
    who: str
    """Who sees such an image."""

    @property
    def label(self) -> str:
        """For a choice."""
        return f"{self.name}: {self.who[0].lower()}{self.who[1:]}"


def visibility_words(mode: Anonymous) -> dict[Visibility, VisibilityWords]:
    """The words for each, where visitors may do what `mode` says."""
    anyone = "Anyone who is logged in" if mode == "none" else "Anyone who has the link"
    found = (
        VisibilityWords("public", "Public", "eye", anyone),
        VisibilityWords("members", "Members", "users", "Anyone who is logged in"),
        VisibilityWords("private", "Private", "lock", "Owner and administrators"),
    )
    return {words.value: words for words in found}
