"""The checker's ledger: all that a key can have been since a step was acknowledged."""

from __future__ import annotations

import pytest
from benchmarks.checker.ledger import Ledger
from benchmarks.checker.states import State


def test_a_key_is_nothing_until_a_step_begins() -> None:
    ledger = Ledger(2)
    assert (ledger.acknowledged(1), ledger.possible(1, 0)) == (0, [State()])


def test_every_step_since_the_acknowledged_one_is_possible() -> None:
    ledger = Ledger(2)
    public, hidden, moved = State(1), State(1, "private"), State(1, "private", 5, 0)
    for step, state in enumerate((public, hidden, moved), 1):
        ledger.begin(1, step, state)
    assert ledger.possible(1, 0) == [State(), public, hidden, moved]
    ledger.acknowledge(1, 2)
    assert ledger.possible(1, ledger.acknowledged(1)) == [hidden, moved]
    assert ledger.possible(0, 0) == [State()]


def test_a_key_with_too_many_steps_meanwhile_is_not_judged() -> None:
    ledger = Ledger(1)
    for step in range(1, 64):
        ledger.begin(0, step, State(step))
    assert ledger.possible(0, 0) is not None
    ledger.begin(0, 64, State(64))
    assert ledger.possible(0, 0) is None
    assert ledger.possible(0, 1) is not None


@pytest.mark.parametrize(
    "state", [State(), State(1, "members", 2, 1), State((1 << 24) - 1, "private", (1 << 18) - 1, (1 << 18) - 2)]
)
def test_a_state_fits_a_word(state: State) -> None:
    assert state.pack() < 1 << 63
    assert State.unpack(state.pack()) == state
