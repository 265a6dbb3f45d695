"""A short run of the checker of benchmarks/coherence.py: resizes all the time, and a process killed or stopped.

Images are replaced, hidden, renamed, and read by people of all kinds, whose credentials are revoked.
"""

from __future__ import annotations

from benchmarks.checker.one_machine import Options, check


def test_no_read_is_stale_and_none_fails() -> None:
    options = Options(seconds=15, keys=40, readers=1, resize_pause_seconds=0.2, fault_pause_seconds=1.0)
    report = check(options)
    assert (report["stale_reads"], report["failed_reads"]) == (0, 0), report
    assert not report["findings"], report["findings"]
    # Without these it proves nothing.
    assert report["reads"] >= 200
    assert report["rendition_reads"] >= 20
    assert report["writes"] >= 20
    assert report["hidden_reads"] >= 100
    assert report["visibility_changes"] + report["renames"] >= 1
    assert report["revocations"] >= 1
    assert report["resizes"] >= 1
    assert report["faults"] >= 1
