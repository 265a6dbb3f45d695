"""The real web app on a real storage app, in this process, over real sockets. There is no pool: reads are `BYPASS`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import urllib3
from tests.apps.web_support import web_settings

from elastic_images.accounts.bootstrap import CLI_TOKEN_FILE, ensure_first_administrator
from elastic_images.database.engine import open_engine
from elastic_images.database.migrate import migrate
from elastic_images.process.server import Bound, serving
from elastic_images.storage.service import StorageService
from elastic_images.web.service import WebService


@dataclass(frozen=True)
class RealSite:
    """Where it is."""

    bound: Bound
    token: str
    """An administrator's."""
    data: Path
    storage_urls: tuple[str, ...]

    @property
    def url(self) -> str:
        """The address of web."""
        return f"http://{self.bound.address}"


@contextmanager
def real_site(data: Path, **overrides: Any) -> Iterator[RealSite]:
    """A site with its data in an empty folder; `overrides` are settings."""
    settings = web_settings(data, **overrides, admin_password="a password for tests")
    engine = open_engine(settings.database)
    migrate(engine)
    ensure_first_administrator(engine, settings)
    engine.dispose()
    storage = StorageService(settings)
    with serving(storage.wsgi, threads=32) as storage_bound:
        storage.start(storage_bound)
        storage_urls = (f"http://{storage_bound.address}",)
        urls = {"storage_urls": storage_urls, "autoscaler_url": "http://127.0.0.1:9"}
        # No near cache: here web is a guest of the pool, and no thread comes and goes with invalidations.
        web = WebService(web_settings(data, **overrides, near_cache_mb=0, **urls))
        with serving(web.wsgi, threads=64) as bound:
            web.start(bound)
            site = RealSite(bound, (data / CLI_TOKEN_FILE).read_text().strip(), data, storage_urls)
            # The first upload starts an imaging broker, which no test should be taken to leave behind.
            headers = {"Authorization": f"Bearer {site.token}"}
            refused = urllib3.request(
                "PUT", f"{site.url}/api/images/none", body=b"\x89PNG\r\n\x1a\nxx", headers=headers
            )
            assert refused.status in (415, 422), refused.data
            yield site
        web.stop()
    storage.stop()
