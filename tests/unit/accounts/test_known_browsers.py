from __future__ import annotations

import pytest

from elastic_images.accounts.known_browsers import KnownBrowsers

KNOWN = KnownBrowsers("secret")


def test_a_browser_is_recognised_for_its_account_alone() -> None:
    one, other = KNOWN.issue("Ann"), KNOWN.issue("Ann")
    found = KNOWN.recognise("ann", one)
    assert found is not None
    assert KNOWN.recognise("ＡＮＮ", one) == found
    assert KNOWN.recognise("ann", other) not in (None, found)
    assert KNOWN.recognise("bob", one) is None
    assert KnownBrowsers("other").recognise("ann", one) is None


@pytest.mark.parametrize("value", ["", ".", "x", "x.", ".x", "x.é", "x.y.z"])
def test_other_values_are_nobodys(value: str) -> None:
    assert KNOWN.recognise("ann", value) is None
    assert KNOWN.recognise("ann", KNOWN.issue("ann") + value.rpartition(".")[2] + "0") is None


def test_an_accounts_cookie_does_not_name_it() -> None:
    assert KNOWN.cookie_suffix("ann") == KNOWN.cookie_suffix("ANN") != KNOWN.cookie_suffix("bob")
    assert "ann" not in KNOWN.cookie_suffix("ann") + KNOWN.issue("ann")
    assert KNOWN.cookie_suffix("ann") != KnownBrowsers("other").cookie_suffix("ann")
