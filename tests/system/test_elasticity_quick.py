"""A short run of benchmarks/elasticity.py: what it measures comes out, and resizes keep what they promise of misses."""

from __future__ import annotations

import json
from dataclasses import replace

from benchmarks.elastic.options import QUICK
from benchmarks.elastic.report import ALLOWED_POINTS, figures_of, report, table
from benchmarks.elastic.run import measure


def test_a_resize_under_load_costs_no_more_than_it_must() -> None:
    options = replace(QUICK, images=250, rest_requests=800, requests_per_second=180.0, before_seconds=2.0)
    runs = measure(replace(options, after_seconds=6.5, lose_nodes=False), lambda _line: None)
    found = figures_of(runs["warm"])
    assert [(one.resize.from_nodes, one.resize.to_nodes) for one in found] == [(3, 4), (4, 2)]
    for one in found:
        assert one.failed == 0
        assert one.miss_peak <= max(one.old_steady, one.new_steady) + ALLOWED_POINTS, one
        assert one.resize.moved_bytes > 0
    assert json.loads(json.dumps(report(runs)))["warm"]["resizes"][0]["from"] == 3
    assert len(table(found).splitlines()) == 4
