"""What the manager can do at this moment (`/readyz`)."""

from __future__ import annotations

from collections.abc import Callable

from elastic_images.autoscaler.client import AutoscalerClient
from elastic_images.core.errors import Unavailable
from elastic_images.http.readiness import REMOTE_PATIENCE_SECONDS, Probe, Readiness, ask
from elastic_images.storage.client import StorageClient


class ManagerReadiness:
    """Asks the autoscaler, storage and the accounts' database."""

    def __init__(self, pool: AutoscalerClient, images: StorageClient, check_accounts: Callable[[], None]) -> None:
        """`check_accounts` raises Unavailable."""
        self._probes = {
            "autoscaler": Probe("autoscaler", _asking(pool.readiness), patience_seconds=REMOTE_PATIENCE_SECONDS),
            "storage": Probe("storage", _asking(images.readiness), patience_seconds=REMOTE_PATIENCE_SECONDS),
            "accounts": Probe("accounts", check_accounts),
        }

    def look(self) -> Readiness:
        """Answers within two seconds. People can log in and see what there is, or can change everything."""
        checks = ask(**self._probes)
        return Readiness(checks["accounts"].ok, all(check.ok for check in checks.values()), checks)


def _asking(readiness: Callable[[], Readiness]) -> Callable[[], str]:
    def ask_it() -> str:
        found = readiness()
        if not found.read:
            raise Unavailable(found.failing_names)
        return found.failing_names or "Working."

    return ask_it
