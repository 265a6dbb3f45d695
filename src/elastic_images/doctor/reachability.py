"""Checks that the apps of a running system can be reached, here or on other machines."""

from __future__ import annotations

from collections.abc import Iterator

from elastic_images.core.errors import ElasticImagesError, Forbidden, Unauthenticated
from elastic_images.doctor.finding import BAD, NOTE, OK, Finding
from elastic_images.http.internal_client import InternalClient
from elastic_images.settings import Settings

_AREA = "reachability"
_SECONDS = 3.0


def check_reach(settings: Settings, *, running: bool) -> Iterator[Finding]:
    """Check that each app answers and accepts the internal token.

    Only looks for apps if a system is running on the data folder, or if their addresses were set explicitly.
    """
    http = InternalClient(settings.internal_token or None)
    try:
        if running or settings.sources.get("storage_urls", "default") != "default":
            for url in settings.storage_urls:
                yield from _app(http, "storage", url, "/internal/usage")
        if running or settings.sources.get("autoscaler_url", "default") != "default":
            yield from _app(http, "the autoscaler", settings.autoscaler_url, "/internal/config")
        if running:
            for app in ("web", "manager"):
                yield from _app(http, app, settings.url(app), None)
        else:
            yield Finding(_AREA, NOTE, "no system is running on this data folder")
    finally:
        http.close()


def _app(http: InternalClient, name: str, url: str, path: str | None) -> Iterator[Finding]:
    try:
        http.request("GET", f"{url}/healthz", timeout_seconds=_SECONDS)
    except ElasticImagesError:
        mend = "check that it is running, and that no firewall blocks it"
        yield Finding(_AREA, BAD, f"{name} at {url} does not answer", mend)
        return
    try:
        found = http.readiness(url)
        if path is not None:
            http.request("GET", f"{url}{path}", timeout_seconds=_SECONDS)
    except (Unauthenticated, Forbidden):
        mend = "give every machine the same ELASTIC_IMAGES_INTERNAL_TOKEN"
        yield Finding(_AREA, BAD, f"{name} at {url} does not accept the internal token", mend)
    except ElasticImagesError as error:
        yield Finding(_AREA, BAD, f"{name} at {url} is not ready: {error}", "check its log")
    else:
        if not found.write:
            what = "can neither read nor write" if not found.read else "cannot write"
            yield Finding(
                _AREA, BAD, f"{name} at {url} {what}: {found.failing}", "mend what it names, or check its log"
            )
            return
        yield Finding(_AREA, OK, f"{name} at {url} answers and is ready")
