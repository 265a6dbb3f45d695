from __future__ import annotations

import os
import sys
import threading

import pytest

from elastic_images.process.politeness import politely


def test_it_returns_and_raises_what_the_computation_does() -> None:
    assert politely(lambda: 6 * 7) == 42
    with pytest.raises(ZeroDivisionError):
        politely(lambda: 1 // 0)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere threads have no nice value")
def test_only_the_computation_steps_back() -> None:
    def nice() -> int:
        return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())

    before = nice()
    assert politely(nice) > before or before == 19
    assert nice() == before
