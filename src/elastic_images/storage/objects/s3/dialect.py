"""What the service does not support, as the parameters of the store's URL say."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from typing import Any, Literal, Self
from urllib.parse import parse_qsl

from elastic_images.core.errors import InvalidRequest


@dataclass(frozen=True, slots=True)
class S3Dialect:
    """How to speak to the service. By default as to Amazon's.

    `md5`: each upload carries `Content-MD5` in place of `x-amz-checksum-sha256`, and so does DeleteObjects.
    `conditional`: uploads carry `If-None-Match: *`, so that the service refuses to overwrite. Without it, the names
    alone keep objects apart: 128 random bits, used for one upload and its retries, which send the same bytes. Only
    copies (backup, restore, migrate) choose a name; before them, the store looks whether it is taken.
    """

    md5: bool = False
    conditional: bool = True

    @classmethod
    def parse(cls, query: str) -> Self:
        """Read a URL's parameters. Raises InvalidRequest."""
        given = parse_qsl(query, keep_blank_values=True)
        found = dict(given)
        md5 = found.pop("checksums", "sha256")
        conditional = found.pop("conditional_writes", "on")
        if found or len(given) != len(dict(given)) or md5 not in ("sha256", "md5") or conditional not in ("on", "off"):
            raise InvalidRequest(
                "An S3 object store must be a URL such as s3://bucket/prefix; the only parameters are checksums=md5 "
                "and conditional_writes=off. AWS_ENDPOINT_URL_S3 selects a service other than Amazon's."
            )
        return cls(md5 == "md5", conditional == "on")

    def query(self) -> str:
        """The parameters that say this; empty for the default."""
        wanted = {"checksums=md5": self.md5, "conditional_writes=off": not self.conditional}
        return "&".join(text for text, wants in wanted.items() if wants)

    def condition(self) -> dict[str, Any]:
        """The argument of an upload that must not overwrite."""
        return {"IfNoneMatch": "*"} if self.conditional else {}

    def algorithm(self) -> dict[str, Literal["SHA256"]]:
        """The argument that announces the checksums of an upload in parts."""
        return {} if self.md5 else {"ChecksumAlgorithm": "SHA256"}

    def checksum(self, body: bytes, sha256: bytes) -> dict[str, str]:
        """The argument with the checksum of a body that has this SHA-256."""
        if self.md5:
            return {"ContentMD5": _base64_text(hashlib.md5(body, usedforsecurity=False).digest())}
        return {"ChecksumSHA256": _base64_text(sha256)}

    def part(self, number: int, etag: str, sent: dict[str, str]) -> dict[str, Any]:
        """A part that was uploaded with the checksum `sent`, for the request that completes the upload."""
        return {"PartNumber": number, "ETag": etag, **({} if self.md5 else sent)}


def _base64_text(digest: bytes) -> str:
    return base64.b64encode(digest).decode()
