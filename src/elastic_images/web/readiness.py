"""What a web process can do at this moment (`/readyz`)."""

from __future__ import annotations

from collections.abc import Callable

from elastic_images.http.readiness import REMOTE_PATIENCE_SECONDS, Check, Probe, Readiness, ask
from elastic_images.pool.view import PoolView
from elastic_images.storage.client import StorageClient


class WebReadiness:
    """Asks storage and the accounts' database, and looks at the pool map."""

    def __init__(
        self,
        storage: StorageClient,
        check_accounts: Callable[[], None],
        view: Callable[[], PoolView],
        *,
        open_to_all: bool,
    ) -> None:
        """`check_accounts` raises Unavailable. `open_to_all`: public images are read without an account."""
        self._storage = storage
        self._view = view
        self._open_to_all = open_to_all
        self._found = Readiness(read=False, write=False)
        self._probes = {
            "storage": Probe("storage", self._ask_storage, patience_seconds=REMOTE_PATIENCE_SECONDS),
            "accounts": Probe("accounts", check_accounts),
        }

    def look(self) -> Readiness:
        """Answers within two seconds. Images are read from storage if no node serves."""
        checks = ask(**self._probes)
        accounts, storage = checks["accounts"].ok, self._found
        # Storage's words are for when it answered; without an answer it can do nothing.
        told = checks["storage"].ok
        if told and storage.failing_names:
            checks["storage"] = Check(ok=storage.read, detail=storage.failing_names)
        view = self._view()
        slots = {member.slot for member in view.members if member.slot is not None}
        serving = sum(view.live_node(slot) is not None for slot in slots)
        checks["pool_map"] = (
            Check(ok=True, detail=f"Epoch {view.map.epoch}.") if view.map else Check(ok=False, detail="Not known yet.")
        )
        checks["nodes"] = Check(ok=serving > 0, detail=f"{serving} serving.")
        return Readiness(
            told and storage.read and (accounts or self._open_to_all), told and storage.write and accounts, checks
        )

    def _ask_storage(self) -> None:
        self._found = self._storage.readiness()
