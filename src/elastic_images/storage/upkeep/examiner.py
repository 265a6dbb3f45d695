"""Examines images from older versions, so that their metadata says what that of new uploads says."""

from __future__ import annotations

import logging
import threading
import time
import uuid
from collections.abc import Callable

from elastic_images.core.errors import Conflict, Damaged, ElasticImagesError, Lost, NotFound, Unavailable
from elastic_images.core.image_facts import DETAILS
from elastic_images.imaging.imaging import Imaging
from elastic_images.storage.catalog.catalog import CatalogImage
from elastic_images.storage.catalog.unexamined import Unexamined
from elastic_images.storage.upkeep.leases import UpkeepLeases

_PAGE = 100
_JOB_SECONDS = 60.0
_LOG_SECONDS = 60.0
_log = logging.getLogger(__name__)


class Examiner:
    """Goes through the images that are left, one process at a time, by a lease. It rests as long as it works.

    `figures` may be called from any thread.
    """

    def __init__(
        self,
        unexamined: Unexamined,
        leases: UpkeepLeases,
        read: Callable[[str], tuple[CatalogImage, bytes]],
        imaging: Imaging,
    ) -> None:
        """`read`: gives an image's metadata and its verified bytes (`ImageReader.read`)."""
        self._unexamined = unexamined
        self._leases = leases
        self._read = read
        self._imaging = imaging
        self._holder = uuid.uuid4().hex
        self._stopping = threading.Event()

    def stop(self) -> None:
        """End soon what is under way; it is continued later."""
        self._stopping.set()

    def figures(self) -> dict[str, float]:
        """Gauges."""
        return {"images_unexamined": self._unexamined.count()}

    def work(self) -> None:
        """Examine all images that are left, unless another process does.

        Raises:
            Unavailable: the object store or the workers do not answer; a later call continues.
        """
        if not self._unexamined.page(None, 1):
            return
        try:
            with self._leases.held("examine", self._holder) as check_lease:
                self._examine_all(check_lease)
        except Conflict:
            return

    def _examine_all(self, check_lease: Callable[[], None]) -> None:
        after, done, logged_at = None, 0, time.monotonic()
        while keys := self._unexamined.page(after, _PAGE):
            for key in keys:
                check_lease()
                begun_at = time.monotonic()
                self._examine(key)
                done += 1
                if time.monotonic() > logged_at + _LOG_SECONDS:
                    logged_at = time.monotonic()
                    _log.info("examined %d images from an older version, %d left", done, self._unexamined.count())
                if self._stopping.wait(time.monotonic() - begun_at):
                    return
            after = keys[-1]
        _log.info("examined %d images from an older version", done)

    def _examine(self, key: str) -> None:
        try:
            image, data = self._read(key)
        except NotFound:
            self._unexamined.examined(key, 0, None)
            return
        except (Damaged, Lost):  # it may be repaired
            return
        try:
            picture = self._imaging.inspect(data, deadline=time.monotonic() + _JOB_SECONDS, client="examiner")
        except Unavailable:
            raise
        except ElasticImagesError as error:
            _log.warning("image %r stays as it was examined before: %s", key, error)
            self._unexamined.examined(key, image.facts.version, None)
            return
        found = {name: getattr(picture, name) for name in ("width", "height", *DETAILS)}
        self._unexamined.examined(key, image.facts.version, found)
