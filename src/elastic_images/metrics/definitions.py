"""The table of all figures: name, Prometheus name and meaning.

Counters and gauges outside this table cannot be created. A test compares it with README.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal


@dataclass(frozen=True, slots=True)
class Definition:
    """One figure."""

    name: str
    kind: Literal["counter", "gauge"]
    family: str
    """The Prometheus name, including its unit, without the `_total` of counters."""
    text: str
    """The HELP text."""
    label: str = ""
    """What tells its values apart, if it has several (`Counters.follow_by_label`)."""

    @property
    def exposed(self) -> str:
        """The name on `/metrics`."""
        return f"{self.family}_total" if self.kind == "counter" else self.family


def _counter(name: str, family: str, text: str, label: str = "") -> Definition:
    return Definition(name, "counter", f"elastic_images_{family}", text, label)


def _gauge(name: str, family: str, text: str) -> Definition:
    return Definition(name, "gauge", f"elastic_images_{family}", text)


_ALL = (
    _counter("requests", "cache_requests", "Reads that this process counts for the pool: hits and misses."),
    _counter("hits", "cache_hits", "Reads of what was in a cache's memory."),
    _counter("misses", "cache_misses", "Reads of what was in no cache's memory, bypasses among them."),
    _counter("made", "cache_made", "Misses that made a rendition of an original in memory."),
    _counter("stored", "cache_stored", "Misses that needed storage."),
    _counter("not_found", "cache_not_found", "Reads of keys that have no image: neither hits nor misses."),
    _counter("bypasses", "cache_bypasses", "Reads that went past the pool to storage."),
    _counter("evictions", "cache_evictions", "Entries dropped for room."),
    _counter("invalidations", "cache_invalidations", "Entries dropped because their key changed."),
    _counter("oversized", "cache_oversized", "Entries served and not kept, being larger than the cache."),
    _counter("handed_over", "cache_handed_over", "Entries given to the new owner of their partition."),
    _counter("handed_over_bytes", "cache_handed_over_bytes", "Bytes of entries given to a new owner."),
    _counter("stale", "stale_reads", "Reads answered out of lease, marked stale."),
    _counter("errors", "errors", "Reads that ended in an error of ours."),
    _counter("relayed_hits", "web_relayed_hits", "Reads that web passed on to a node which had the image."),
    _counter("relayed_misses", "web_relayed_misses", "Reads that web passed on to a node which asked storage."),
    _counter("node_failures", "web_node_failures", "Calls to a node that failed or took too long."),
    _counter("uploads", "storage_uploads", "Images written."),
    _counter("upload_bytes", "storage_upload_bytes", "Bytes of images written."),
    _counter("refused_uploads", "storage_refused_uploads", "Uploads refused, by the type of the problem.", "reason"),
    _counter(
        "database_failures",
        "storage_database_failures",
        "Requests and checks that failed because the database did not answer.",
    ),
    _counter("deletes", "storage_deletes", "Images deleted."),
    _counter("reads", "storage_reads", "Images read from the object store."),
    _counter("imaging_jobs", "imaging_jobs", "Jobs of the machine's imaging broker, by kind and outcome.", "outcome"),
    _counter("imaging_seconds", "imaging_seconds", "Time from a job's arrival to its answer, by kind.", "kind"),
    _counter("imaging_killed", "imaging_killed", "Workers that were killed while they worked."),
    _gauge("imaging_waiting", "imaging_waiting", "Jobs that wait for their turn."),
    _gauge("imaging_admitted_bytes", "imaging_admitted_bytes", "Memory that images being decoded may take now."),
    _gauge("imaging_workers", "imaging_workers", "Worker processes."),
    _counter("renditions", "renditions", "Renditions that this process made, by format.", "format"),
    _counter(
        "rendition_seconds", "rendition_seconds", "Time that these took, with their waiting, by format.", "format"
    ),
    _counter("refused_renditions", "refused_renditions", "Renditions not made, by the type of the problem.", "reason"),
    _gauge("renditions_waiting", "renditions_waiting", "Renditions that are being made, or wait for it."),
    _gauge("images_damaged", "damaged", "Images whose stored bytes are known to be damaged."),
    _gauge("images_lost", "lost", "Images whose stored bytes are known to be missing."),
    _gauge("images_unexamined", "unexamined", "Images of older versions that are still to be examined, up to 100,000."),
    _gauge("scrub_objects", "scrub_objects", "Objects read by the scrubber in its current or last round."),
    _gauge("scrub_age_seconds", "scrub_age_seconds", "Seconds since the scrubber last finished a round; -1 before."),
    _counter("fences", "storage_fences", "Members fenced because they did not answer an invalidation."),
    _gauge("collector_backlog", "collector_backlog", "Objects that are due for removal and still there."),
    _gauge("collector_oldest", "collector_oldest_seconds", "How long the oldest of them has been due."),
    _counter("decisions", "autoscaler_decisions", "Decisions taken by the scaling loop."),
    _counter("resizes", "autoscaler_resizes", "Resizes finished."),
    _counter("aborted_resizes", "autoscaler_aborted_resizes", "Resizes undone."),
    _counter("samples_received", "metrics_samples_received", "Samples taken in from other processes."),
    _counter("publish_failures", "metrics_publish_failures", "Attempts to publish samples that failed."),
    _counter("samples_dropped", "metrics_samples_dropped", "Samples given up, refused or too many to keep waiting."),
    _gauge("samples_waiting", "metrics_samples_waiting", "Samples not published yet."),
    _gauge("writable", "storage_writable", "Whether images can be written now: 1 or 0."),
    _gauge("free_bytes", "storage_free_bytes", "Free space on the disk that has the least room for uploads."),
    _gauge("items", "cache_items", "Entries in memory."),
    _gauge("bytes", "cache_bytes", "Bytes of entries in memory."),
    _gauge("capacity_bytes", "cache_capacity_bytes", "Most bytes of entries that are kept in memory."),
    _gauge("fills", "cache_fills", "Fills under way."),
    _gauge("epoch", "pool_epoch", "Epoch of the pool map that this process obeys."),
    _gauge("nodes", "pool_nodes", "Nodes in the pool."),
    _gauge("wanted_nodes", "pool_wanted_nodes", "Nodes that the pool should have."),
)

DEFINITIONS: Mapping[str, Definition] = MappingProxyType({definition.name: definition for definition in _ALL})
"""By name, in display order."""
