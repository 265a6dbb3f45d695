"""What a storage process can do at this moment (`/readyz`)."""

from __future__ import annotations

from collections.abc import Callable

from elastic_images.http.problems import is_database_error
from elastic_images.http.readiness import Probe, Readiness, ask
from elastic_images.storage.room import Room, shown_megabytes


class StorageReadiness:
    """Asks the database, the object store and the disks."""

    def __init__(
        self,
        ask_database: Callable[[], object],
        check_store: Callable[[], None],
        room: Room,
        on_database_failure: Callable[[], object],
        check_imaging: Callable[[], str],
    ) -> None:
        """`ask_database`, `check_store` and `check_imaging` raise if it does not work."""
        self._ask_database = ask_database
        self._room = room
        self._on_database_failure = on_database_failure
        self._probes = {
            "database": Probe("database", self._database),
            "object_store": Probe("object-store", check_store),
            "free_space": Probe("free-space", self._free_space),
            "imaging": Probe("imaging", check_imaging),
        }

    def look(self) -> Readiness:
        """Answers within a second."""
        checks = ask(**self._probes)
        read = checks["database"].ok and checks["object_store"].ok
        return Readiness(read, read and checks["free_space"].ok and checks["imaging"].ok, checks)

    def figures(self) -> dict[str, int]:
        """For `/metrics`."""
        return {"writable": int(self.look().write), "free_bytes": self._room.free_bytes}

    def _database(self) -> None:
        try:
            self._ask_database()
        except Exception as error:
            if is_database_error(error):
                self._on_database_failure()
            raise

    def _free_space(self) -> str:
        self._room.look()
        self._room.check()
        return f"{shown_megabytes(self._room.free_bytes)} free."
