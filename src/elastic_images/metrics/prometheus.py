"""Exposes a process's figures on `/metrics`, in a registry of its own."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from elastic_images.metrics.counters import Counters
from elastic_images.metrics.definitions import DEFINITIONS


def registry_for(app: str, counters: Counters, *, version: str, source: str = "") -> CollectorRegistry:
    """A separate registry for `base_app(..., registry=...)`.

    It exposes the current `counters`, an info metric (app, member id as `source`, version), and, on Linux, the
    process's CPU time, memory and open files.
    """
    registry = CollectorRegistry()
    registry.register(_CountersCollector(app, counters, version, source))
    ProcessCollector(registry=registry)
    return registry


class _CountersCollector(Collector):
    """Reads the counters at each scrape."""

    def __init__(self, app: str, counters: Counters, version: str, source: str) -> None:
        self._counters = counters
        self._about = {"app": app, "source": source, "version": version}

    def collect(self) -> Iterator[Metric]:
        """The metric families that this process has figures for."""
        yield InfoMetricFamily("elastic_images", "Which app, which member, which version.", value=self._about)
        figures, by_label = self._counters.read(), self._counters.read_by_label()
        for definition in DEFINITIONS.values():
            family = CounterMetricFamily if definition.kind == "counter" else GaugeMetricFamily
            if definition.name in by_label:
                labelled = family(definition.family, definition.text, labels=[definition.label])
                for label, value in by_label[definition.name].items():
                    labelled.add_metric([label], value)
                yield labelled
            elif definition.name in figures:
                yield family(definition.family, definition.text, value=figures[definition.name])
