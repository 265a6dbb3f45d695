"""The manager's JSON."""

from __future__ import annotations

from elastic_images.manager.api.pool import pool_api
from elastic_images.manager.api.tokens import tokens_api
from elastic_images.manager.api.upkeep import upkeep_api
from elastic_images.manager.api.users import users_api
from elastic_images.manager.api.watch import watch_api

__all__ = ["pool_api", "tokens_api", "upkeep_api", "users_api", "watch_api"]
