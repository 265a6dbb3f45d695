"""What makes an upload link good for one upload: storage remembers it in the same transaction as the image."""

from __future__ import annotations

import re
from dataclasses import dataclass

from elastic_images.core.errors import InvalidRequest

UPLOAD_NONCE_HEADER = "X-Upload-Nonce"
_HEADER = re.compile(r"([0-9a-f]{32}) ([0-9]{1,15})", re.ASCII)


@dataclass(frozen=True, slots=True)
class UploadNonce:
    """The nonce of a link, 32 hexadecimal digits, and when the link expires, in seconds since the epoch."""

    nonce: str
    until: int

    @classmethod
    def parse(cls, text: str) -> UploadNonce:
        """Read the header. Raises InvalidRequest."""
        found = _HEADER.fullmatch(text)
        if found is None:
            raise InvalidRequest(f"{UPLOAD_NONCE_HEADER} must be 32 lower-case hexadecimal digits and a time.")
        return cls(found[1], int(found[2]))

    def to_header(self) -> str:
        """For `parse`."""
        return f"{self.nonce} {self.until}"
