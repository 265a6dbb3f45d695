"""Whose clients have left, and who is told."""

from __future__ import annotations

from elastic_images.core.errors import Unavailable
from elastic_images.http.gone_callers import GONE_VARIABLE, GoneCallers, gone_of


def test_the_other_process_is_told_at_each_look_while_the_call_runs() -> None:
    callers, told = GoneCallers(), []
    left: set[str] = set()

    def tell() -> None:
        told.append("gone")
        raise Unavailable("It does not answer.")

    with callers.call(lambda: "a" in left, tell), callers.call(None, tell), callers.call(lambda: False, tell):
        callers.look()
        assert not told
        left.add("a")
        callers.look()
        callers.look()
        assert told == ["gone", "gone"]
    callers.look()
    assert told == ["gone", "gone"]


def test_a_request_that_did_not_pass_the_front_has_a_client_of_whom_nothing_is_known() -> None:
    assert gone_of({}) is None
    known = gone_of({GONE_VARIABLE: lambda: True})
    assert known is not None
    assert known()
