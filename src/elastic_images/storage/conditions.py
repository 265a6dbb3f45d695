"""The conditions of a write: If-Match and If-None-Match (RFC 9110, section 13.1)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from elastic_images.core.errors import InvalidRequest, PreconditionFailed

_TAG = r'(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"'
_TAGS = re.compile(rf"\s*{_TAG}(?:\s*,\s*{_TAG})*\s*")
_ONE_TAG = re.compile(_TAG)
_ANY = "*"


@dataclass(frozen=True, slots=True)
class Conditions:
    """What the current image must satisfy for a write to take effect; None means no condition."""

    if_match: frozenset[str] | None = None
    if_none_match: frozenset[str] | None = None

    @classmethod
    def parse(cls, if_match: str | None, if_none_match: str | None) -> Conditions:
        """Parse the two header fields. Raises InvalidRequest."""
        return cls(_tags("If-Match", if_match), _tags("If-None-Match", if_none_match))

    def check(self, etag: str | None) -> None:
        """Check the conditions against the current entity tag, or None if there is no image.

        If-Match compares strongly, If-None-Match weakly, as the RFC requires.

        Raises:
            PreconditionFailed: names the condition that failed.
        """
        if self.if_match is not None and (etag is None or not self.if_match & {_ANY, etag}):
            raise PreconditionFailed(
                "If-Match failed: there is no such image."
                if etag is None
                else "If-Match failed: the image has changed."
            )
        if self.if_none_match is None or etag is None:
            return
        if _ANY in self.if_none_match:
            raise PreconditionFailed("If-None-Match: * failed: the image exists.")
        if etag in {tag.removeprefix("W/") for tag in self.if_none_match}:
            raise PreconditionFailed("If-None-Match failed: the image has this entity tag.")


NO_CONDITIONS = Conditions()


def _tags(name: str, text: str | None) -> frozenset[str] | None:
    if text is None:
        return None
    if text.strip() == _ANY:
        return frozenset({_ANY})
    if not _TAGS.fullmatch(text):
        raise InvalidRequest(f"{name} must be * or a list of entity tags in double quotes.")
    return frozenset(_ONE_TAG.findall(text))
