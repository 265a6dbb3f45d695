"""The checker's ledger: which answers can be right."""

from __future__ import annotations

from benchmarks.checker.ledger import Ledger


def test_a_restored_body_is_right_until_the_next_write_is_acknowledged() -> None:
    ledger = Ledger(2)
    ledger.acknowledge(1, 7)
    assert not ledger.may_be_restored(1, 7, 5)
    ledger.restoring(1, 8, 5)
    assert ledger.may_be_restored(1, 7, 5)
    assert ledger.may_be_restored(1, 8, 5)
    assert not ledger.may_be_restored(1, 8, 4)
    assert not ledger.may_be_restored(1, 9, 5)
    assert not ledger.may_be_restored(0, 7, 5)
    # The next restore has begun: whether it has taken effect, nobody knows.
    ledger.restoring(1, 9, 6)
    assert ledger.may_be_restored(1, 8, 5)
    assert ledger.may_be_restored(1, 8, 6)
    assert not ledger.may_be_restored(1, 9, 5)


def test_a_deleted_key_may_be_absent_until_the_next_write_is_acknowledged() -> None:
    ledger = Ledger(1)
    assert ledger.may_be_absent(0, 0)
    ledger.deleting(0, 3)
    assert ledger.may_be_absent(0, 3)
    assert not ledger.may_be_absent(0, 4)
