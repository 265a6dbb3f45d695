"""The system that images are imported into and exported from."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.unit.cli.support import TOKEN, FakeSystem, fake_system

from elastic_images.cli import connecting


@pytest.fixture
def web(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeSystem]:
    """An empty system, which commands find by the environment; they do not ask for long if it is busy."""
    monkeypatch.setattr(connecting, "PATIENT_SECONDS", 0.5)
    with fake_system() as system:
        monkeypatch.setenv("ELASTIC_IMAGES_URL", system.url)
        monkeypatch.setenv("ELASTIC_IMAGES_TOKEN", TOKEN)
        yield system
