"""Which processes work together."""

from __future__ import annotations

import pytest

from elastic_images.core.errors import Conflict
from elastic_images.core.protocol import PROTOCOL, check_protocol, knows_visibility


@pytest.mark.parametrize("named", [None, "", "nonsense", *(str(PROTOCOL + by) for by in (-1, 0, 1))])
def test_neighbours_work_together(named: str | None) -> None:
    check_protocol(named)


@pytest.mark.parametrize("named", [PROTOCOL + 2, 999_999_999])
def test_others_are_told_why_not(named: int) -> None:
    with pytest.raises(Conflict, match=f"protocol {named} and this process {PROTOCOL}"):
        check_protocol(str(named))


@pytest.mark.parametrize(("named", "knows"), [(None, False), ("2", False), ("3", True), ("10", True), ("x", False)])
def test_callers_of_protocol_2_do_not_know_visibilities(named: str | None, knows: bool) -> None:
    assert knows_visibility(named) is knows
