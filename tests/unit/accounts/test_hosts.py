from __future__ import annotations

import pytest

from elastic_images.accounts.hosts import HostRules, host_rules, split_host


def rules(bind: str = "127.0.0.1", *, advertise: str | None = None, allowed: tuple[str, ...] = ()) -> HostRules:
    return host_rules(
        bind=bind, advertise=advertise, allowed_hosts=allowed, machine_names=("machine", "machine.local", "")
    )


@pytest.mark.parametrize(
    "host", ["localhost", "localhost:5000", "LOCALHOST:1", "localhost.", "127.0.0.1:5003", "[::1]:5000", "127.1.2.3"]
)
@pytest.mark.parametrize("bind", ["127.0.0.1", "0.0.0.0", "10.0.0.5", "::1"])
def test_the_loopback_is_always_ours(bind: str, host: str) -> None:
    assert rules(bind).allow(host)


@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:5000", "localhost.evil.example", "10.0.0.5", "machine", "[2001:db8::1]:5000"],
)
def test_on_the_loopback_nothing_else_is(host: str) -> None:
    assert not rules().allow(host)


@pytest.mark.parametrize(
    "host",
    [None, "", " ", ":5000", "localhost:", "localhost:x", "localhost:99999", "[::1", "a b", "a/b", "a@b"],
)
def test_what_is_no_host_is_refused(host: str | None) -> None:
    assert not rules("0.0.0.0").allow(host)


@pytest.mark.parametrize("host", ["10.0.0.5:5000", "[2001:db8::1]:5000", "machine:5000", "Machine.local"])
def test_beyond_the_loopback_addresses_and_the_machines_names_are_ours(host: str) -> None:
    assert rules("0.0.0.0").allow(host)
    assert rules("::").allow(host)


def test_beyond_the_loopback_a_foreign_name_is_not() -> None:
    assert not rules("0.0.0.0").allow("evil.example:5000")


def test_names_that_were_set_by_hand() -> None:
    assert rules("images.internal").allow("images.internal:5000")
    assert rules(advertise="images.example:80").allow("images.example")
    assert rules(advertise="10.1.2.3").allow("10.1.2.3:5000")
    assert rules(allowed=("Images.Example",)).allow("images.example:443")
    assert rules(allowed=("[2001:DB8::1]",)).allow("[2001:db8:0::1]:5000")
    assert not rules(allowed=("images.example",)).allow("sub.images.example")


@pytest.mark.parametrize("pattern", ["*.images.example", ".images.example"])
def test_all_names_below_a_name(pattern: str) -> None:
    assert rules(allowed=(pattern,)).allow("a.b.images.example")
    assert not rules(allowed=(pattern,)).allow("images.example")
    assert not rules(allowed=(pattern,)).allow("evilimages.example")


def test_a_star_allows_all() -> None:
    assert rules(allowed=("*",)).allow("anything.example")


def test_split() -> None:
    assert split_host("A.example.:80") == ("a.example", 80)
    assert split_host("[::1]") == ("::1", None)
    assert split_host("[::1]x") is None
    assert split_host("::1") is None
