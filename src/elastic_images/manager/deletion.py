"""Deleting all images in the background, with progress."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from elastic_images.core.errors import Conflict, ElasticImagesError
from elastic_images.core.image_facts import Actor
from elastic_images.storage.client import StorageClient

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Progress:
    """The progress of the last deletion."""

    state: str = "none"
    """`none`, `running`, `done` or `failed`."""
    deleted: int = 0
    total: int | None = None
    """How many images there were at the start; None if unknown."""
    started_at: float | None = None
    finished_at: float | None = None
    by: str = ""
    error: str = ""


class Deletion:
    """Runs one deletion at a time. Safe to share between threads."""

    def __init__(self, images: StorageClient, clock: Callable[[], float] = time.time) -> None:
        self._images = images
        self._clock = clock
        self._lock = threading.Lock()
        self._progress = Progress()
        self._thread: threading.Thread | None = None
        self._stopping = threading.Event()

    @property
    def progress(self) -> Progress:
        """The progress now."""
        with self._lock:
            return self._progress

    def start(self, actor: Actor) -> Progress:
        """Start deleting everything. Raises Conflict while another deletion runs."""
        with self._lock:
            if self._progress.state == "running":
                raise Conflict("All images are already being deleted.")
            self._progress = Progress("running", started_at=self._clock(), by=actor.name)
            self._thread = threading.Thread(target=self._run, args=(actor,), name="deletion", daemon=True)
            self._thread.start()
            return self._progress

    def stop(self, timeout_seconds: float = 5.0) -> None:
        """Abandon a running deletion and end the thread."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(timeout_seconds)

    def _run(self, actor: Actor) -> None:
        try:
            self._change(total=self._images.usage()["images"])
            for deleted in self._images.delete_all_progress(actor=actor):
                self._change(deleted=deleted)
                if self._stopping.is_set():
                    break
            self._change(state="done")
        except ElasticImagesError as error:
            self._change(state="failed", error=str(error))
        except Exception:  # noqa: BLE001 - the page must show any failure
            _log.exception("deleting all images failed")
            self._change(state="failed", error="Something went wrong. See the manager's log.")

    def _change(self, **values: Any) -> None:
        with self._lock:
            if values.get("state"):
                values["finished_at"] = self._clock()
            self._progress = replace(self._progress, **values)
