"""All checks, in the order of the report."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from elastic_images.doctor.database import check_database
from elastic_images.doctor.finding import BAD, Finding
from elastic_images.doctor.machine import check_data, check_ports, check_variables, is_running
from elastic_images.doctor.metrics import check_metrics
from elastic_images.doctor.nodes import check_nodes
from elastic_images.doctor.object_store import check_identity, check_store
from elastic_images.doctor.reachability import check_reach
from elastic_images.settings import Settings


def examine(settings: Settings, environ: Mapping[str, str]) -> Iterator[Finding]:
    """Check everything that a system with these settings needs. Leaves nothing behind; the system may be running."""
    running = is_running(settings.data)
    yield from check_variables(environ)
    yield from check_data(settings.data)
    identity = list(check_identity(settings.object_store, settings.database))
    yield from identity
    if all(finding.state != BAD for finding in identity):  # nothing is tried on another system's store
        yield from check_store(settings.object_store)
    yield from check_database(settings.database)
    yield from check_metrics(settings.metrics, settings.pool)
    yield from check_nodes(settings)
    if not running:
        yield from check_ports(settings)
    yield from check_reach(settings, running=running)
