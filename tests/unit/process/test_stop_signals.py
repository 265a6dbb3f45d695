from __future__ import annotations

import subprocess
import sys

import pytest

# Signals are for a process's main thread, which the tests' own may not be.
PROGRAM = """
import signal, sys, threading, time
from elastic_images.process.stop_signals import StopSignals

with StopSignals() as stop:
    {how}
    woken = stop.wait(60)
print(woken, stop.count)
"""
# The main thread sleeps when its handler could not yet run: the signal is another thread's.
TO_ANOTHER_THREAD = """
    def other():
        while not sleeping():
            time.sleep(0.01)
        signal.pthread_kill(threading.get_ident(), signal.SIGTERM)
        threading.Event().wait()
    def sleeping():
        status = open(f"/proc/self/task/{threading.main_thread().native_id}/stat").read()
        return status.rpartition(")")[2].split()[0] == "S"
    threading.Thread(target=other, daemon=True).start()
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks at a thread's state in /proc")
def test_a_signal_that_another_thread_gets_wakes_the_main_one() -> None:
    program = PROGRAM.replace("    {how}\n", TO_ANOTHER_THREAD)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout == "True 1\n", done.stderr


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("signal.raise_signal(signal.SIGTERM)", "True 1"),
        ("signal.raise_signal(signal.SIGHUP); signal.raise_signal(signal.SIGINT)", "True 2"),
        ("stop.wake()", "False 0"),
    ],
)
def test_a_signal_before_the_wait_ends_it_at_once(how: str, said: str) -> None:
    program = PROGRAM.format(how=how)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout == f"{said}\n", done.stderr
