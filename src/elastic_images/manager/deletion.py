"""Deleting all images, on a thread of its own: whoever asked for it sees how far it is, and may close the page."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from elastic_images.core.errors import Conflict, ElasticImagesError
from elastic_images.core.image_facts import Actor
from elastic_images.manager.services import ImageStore

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the last deletion is."""

    state: str = "none"
    """`none`, `running`, `done` or `failed`."""
    deleted: int = 0
    total: int | None = None
    """How many images there were at its start; None where storage did not say."""
    started_at: float | None = None
    finished_at: float | None = None
    by: str = ""
    error: str = ""

    def to_json(self) -> dict[str, Any]:
        """As plain JSON values."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}


class Deletion:
    """Runs one deletion at a time. Safe to share between threads."""

    def __init__(self, images: ImageStore, clock: Callable[[], float] = time.time) -> None:
        self._images = images
        self._clock = clock
        self._lock = threading.Lock()
        self._progress = Progress()
        self._thread: threading.Thread | None = None
        self._stopping = threading.Event()

    @property
    def progress(self) -> Progress:
        """How far it is now."""
        with self._lock:
            return self._progress

    def start(self, actor: Actor) -> Progress:
        """Begin to delete everything. Raises Conflict while another deletion runs."""
        with self._lock:
            if self._progress.state == "running":
                raise Conflict("All images are being deleted already.")
            self._progress = Progress("running", started_at=self._clock(), by=actor.name)
            self._thread = threading.Thread(target=self._run, args=(actor,), name="deletion", daemon=True)
            self._thread.start()
            return self._progress

    def stop(self, timeout_seconds: float = 5.0) -> None:
        """Leave a deletion that runs where it is, and end the thread."""
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
        except Exception:  # noqa: BLE001 - whatever it is, the person who waits must be told
            _log.exception("deleting all images failed")
            self._change(state="failed", error="Something went wrong. The manager's log has it.")

    def _change(self, **values: Any) -> None:
        with self._lock:
            if values.get("state"):
                values["finished_at"] = self._clock()
            self._progress = replace(self._progress, **values)
