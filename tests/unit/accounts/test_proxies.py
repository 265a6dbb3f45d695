from __future__ import annotations

import pytest

from elastic_images.accounts.proxies import Client, Proxies
from elastic_images.core.errors import InvalidRequest


def environ(peer: str, **headers: str) -> dict[str, str]:
    return {"REMOTE_ADDR": peer, "wsgi.url_scheme": "http", "HTTP_HOST": "inside:5000"} | {
        f"HTTP_X_FORWARDED_{name}": value for name, value in headers.items()
    }


FORWARDED = {"FOR": "6.6.6.6, 1.2.3.4", "PROTO": "https", "HOST": "images.example"}


def test_nobody_is_believed_by_default() -> None:
    assert Proxies([]).client(environ("127.0.0.1", **FORWARDED)) == Client("127.0.0.1", "http", "inside:5000")


def test_a_stranger_is_not_believed() -> None:
    assert Proxies(["10.0.0.0/8"]).client(environ("9.9.9.9", **FORWARDED)).address == "9.9.9.9"


def test_a_trusted_proxy_is() -> None:
    client = Proxies(["10.0.0.0/8"]).client(environ("10.1.1.1", **FORWARDED))
    assert client == Client("1.2.3.4", "https", "images.example")


@pytest.mark.parametrize(
    ("header", "prefix"),
    [
        ("/photos", "/photos"),
        ("/photos/", "/photos"),
        ("/a/b-c_d.e~f@g+h%20i", "/a/b-c_d.e~f@g+h%20i"),
        ("/outer, /inner", "/inner"),
        *(
            (bad, "")
            for bad in ("", "/", "//evil.example", "photos", "/a//b", "/a/../b", "/.", '/"onload=', "/a b", "/a;b")
        ),
        *((bad, "") for bad in ("/a?b", "/a#b", "/\\evil", "https://evil.example", "/é", "/a\nb")),
    ],
)
def test_the_prefix(header: str, prefix: str) -> None:
    assert Proxies(["10.0.0.0/8"]).client(environ("10.1.1.1", PREFIX=header)).prefix == prefix
    assert Proxies(["10.0.0.0/8"]).client(environ("9.9.9.9", PREFIX=header)).prefix == ""


@pytest.mark.parametrize(
    ("forwarded_for", "address"),
    [
        ("6.6.6.6, 1.2.3.4, 10.0.0.2", "1.2.3.4"),
        ("10.0.0.3, 10.0.0.2", "10.0.0.3"),
        ("1.2.3.4:5678", "1.2.3.4"),
        ("[2001:db8::1]:5678", "2001:db8::1"),
        ("6.6.6.6, nonsense", "10.1.1.1"),
        ("6.6.6.6, nonsense, 10.0.0.2", "10.0.0.2"),
        ("", "10.1.1.1"),
    ],
)
def test_forwarded_for_is_read_from_its_right_end(forwarded_for: str, address: str) -> None:
    assert Proxies(["10.0.0.0/8"]).client(environ("10.1.1.1", FOR=forwarded_for)).address == address


def test_an_ipv4_peer_written_as_ipv6() -> None:
    assert Proxies(["10.0.0.0/8"]).client(environ("::ffff:10.1.1.1", FOR="1.2.3.4")).address == "1.2.3.4"


def test_the_last_of_several_values_counts() -> None:
    client = Proxies(["10.1.1.1"]).client(environ("10.1.1.1", PROTO="http, https", HOST="evil.example, images.example"))
    assert (client.scheme, client.host) == ("https", "images.example")


def test_what_is_no_network_is_refused() -> None:
    with pytest.raises(InvalidRequest):
        Proxies(["my-proxy"])
