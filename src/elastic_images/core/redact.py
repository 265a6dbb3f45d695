"""Hides passwords in URLs."""

from __future__ import annotations

import re

_CREDENTIALS = re.compile(r"(?P<start>[a-z][a-z0-9+.-]*://[^/?#@:\s]*):(?P<password>[^/?#\s]*)@", re.IGNORECASE)
_PARAMETER = re.compile(r"(?P<start>[?&][^=&#\s]*(?:password|passwd|secret|token)[^=&#\s]*=)[^&#\s]+", re.IGNORECASE)


def hide_password(text: str) -> str:
    """The text with `***` in place of every URL's password, before the host or in a parameter."""
    return _PARAMETER.sub(r"\g<start>***", _CREDENTIALS.sub(r"\g<start>:***@", text))
