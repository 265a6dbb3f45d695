"""Settings for tests and benchmarks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from elastic_images.settings import Settings
from elastic_images.settings.sources import resolve


def make_settings(data: Path, **overrides: Any) -> Settings:
    """Defaults on a data folder, with fixed secrets; neither the environment nor a file is read."""
    values, sources = resolve({"data": str(data)}, {}, None)
    values |= {"internal_token": "test-internal-token", "secret_key": "test-secret-key"}
    return Settings(**(values | overrides), sources=sources)
