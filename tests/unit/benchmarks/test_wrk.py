from __future__ import annotations

import pytest
from benchmarks.lib.wrk import Load, LoadFailed, parse

OUTPUT = """Running 2s test @ http://127.0.0.1:5000/images/bench/10KB/000000
  1 threads and 16 connections
Requests/sec:  20000.00

BENCHMARK {"requests": 40000, "microseconds": 2000000, "bytes": 412000000, "p50_microseconds": 450, \
"p99_microseconds": 4100, "errors": {"connect": 0, "read": 1, "write": 0, "status": 3, "timeout": 0}}
"""


def test_a_run_is_read_from_the_line_that_our_script_prints() -> None:
    load = parse(OUTPUT)
    assert load == Load(40000, 2.0, 412_000_000, 4, 0.45, 4.1)
    assert load.requests_per_second == (40000 - 4) / 2
    assert load.bytes_per_answer == 10_300


def test_a_run_without_a_result_fails_and_shows_what_was_printed() -> None:
    with pytest.raises(LoadFailed, match="unable to connect"):
        parse("unable to connect to 127.0.0.1:1 Connection refused\n")


def test_a_run_without_answers_divides_by_nothing() -> None:
    assert Load(0, 1.0, 0, 0, 0.0, 0.0).bytes_per_answer == 0
