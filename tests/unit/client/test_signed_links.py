"""Links that the client signs are those that web opens."""

from __future__ import annotations

import time
from urllib.parse import unquote, urlsplit

import pytest

from elastic_images.client import Client, InvalidRequest, SigningKey
from elastic_images.core.errors import SignatureInvalid
from elastic_images.core.signed_links import check_signature, parse_signature

KEY = SigningKey("0a1b2c3d", "kq3mZ0tM7vXcYbN2rJ5wQdE8uLhF1oGpAsVxTiRyKzI")


def test_a_link_opens_its_image_until_its_time() -> None:
    with Client("https://images.example/below", signing_key=KEY) as client:
        address = urlsplit(client.sign_link("a/ü b", 60, w=400, ar="16:9", dpr=1.5))
    assert (address.netloc, unquote(address.path)) == ("images.example", "/below/images/a/ü b")
    signature = parse_signature(address.query)
    assert signature is not None
    assert signature.parameters.startswith("ar=16%3A9&dpr=1.5&exp=")
    check_signature(KEY.secret, signature, "a/ü b", time.time())
    assert time.time() < signature.expires_at < time.time() + 100
    with pytest.raises(SignatureInvalid):
        check_signature(KEY.secret, signature, "a/other", time.time())


def test_a_secret_is_not_shown() -> None:
    assert KEY.secret not in repr(KEY)


def test_without_a_key_nothing_is_signed() -> None:
    with Client("https://images.example") as client, pytest.raises(InvalidRequest, match="signing_key"):
        client.sign_link("k", 60)
