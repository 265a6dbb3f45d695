"""The front end shared by web and manager: assets, the base page, macros, and formatting of values."""

from __future__ import annotations

from elastic_images.ui.install import CONTENT_SECURITY_POLICY, install
from elastic_images.ui.values import shown_count, shown_duration, shown_percent, shown_size, shown_time

__all__ = [
    "CONTENT_SECURITY_POLICY",
    "install",
    "shown_count",
    "shown_duration",
    "shown_percent",
    "shown_size",
    "shown_time",
]
