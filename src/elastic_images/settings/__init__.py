"""Every setting, and the only reader of the environment.

`Settings.load` takes each value from the first source that has it: flag, environment, `elastic-images.toml`, default.
"""

from __future__ import annotations

from elastic_images.settings.definitions import SETTINGS, Setting
from elastic_images.settings.model import Settings

__all__ = ["SETTINGS", "Setting", "Settings"]
