"""An HTTP answer as a value."""

from __future__ import annotations

from typing import NamedTuple

from elastic_images.core.entry import Headers


class Answer(NamedTuple):
    """Status line, headers and body. The headers are shared: never change them."""

    status: str
    headers: Headers
    body: bytes
