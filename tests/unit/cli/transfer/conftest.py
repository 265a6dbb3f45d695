"""The system that images are imported into and exported from."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.unit.cli.support import TOKEN, FakeSystem, fake_system

from elastic_images.cli.transfer import retries


@pytest.fixture
def web(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeSystem]:
    """An empty system, which commands find by the environment; they do not pause before they ask it again."""
    monkeypatch.setattr(retries, "PAUSES_SECONDS", (0.0, 0.0))
    with fake_system() as system:
        monkeypatch.setenv("ELASTIC_IMAGES_URL", system.url)
        monkeypatch.setenv("ELASTIC_IMAGES_TOKEN", TOKEN)
        yield system
