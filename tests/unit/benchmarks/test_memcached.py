from __future__ import annotations

import pytest
from benchmarks.lib.memcached import set_command


def test_a_value_is_stored_for_good_under_its_key() -> None:
    assert set_command("/images/a", b"xyz") == b"set /images/a 0 0 3\r\nxyz\r\n"


@pytest.mark.parametrize("key", ["", "a b", "a\r\nflush_all", "caf\u00e9", "k" * 251])
def test_what_is_no_key_is_refused(key: str) -> None:
    with pytest.raises(ValueError, match="no key"):
        set_command(key, b"")
