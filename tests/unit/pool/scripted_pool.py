"""A pool that answers polls as a test says, in place of HTTP."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from typing import Any, cast

import urllib3

from elastic_images.core.assignment import alternating
from elastic_images.core.pool_map import PoolMap, first_map
from elastic_images.http.internal_client import InternalClient
from elastic_images.pool.view import LIVE, Member, PoolView

Body = dict[str, Any]


class ScriptedPool:
    """Stands for `InternalClient`. `on_call` gives each answer, or raises."""

    def __init__(self, on_call: Callable[[str, str, Body], Body]) -> None:
        self._on_call = on_call
        self.calls: list[tuple[str, str, Body]] = []
        self._lock = threading.Lock()

    def request(
        self,
        _method: str,
        url: str,
        *,
        json: Body,
        timeout_seconds: float,  # noqa: ARG002 - as InternalClient has it
    ) -> urllib3.HTTPResponse:
        address, _, call = url.partition("/internal/pool/")
        with self._lock:
            self.calls.append((address, call, json))
        return _answer(self._on_call(address, call, json))

    def as_http(self) -> InternalClient:
        return cast(InternalClient, self)


def _answer(value: Body) -> urllib3.HTTPResponse:
    return urllib3.HTTPResponse(body=json.dumps(value).encode(), status=200)


def answer(pool_map: PoolMap | None, *members: Member, state: str = LIVE, stamp: str = "1") -> Body:
    return {"state": state, **PoolView(map=pool_map, members=members, stamp=stamp).to_json()}


def map_at(epoch: int, nodes: int = 1) -> PoolMap:
    return PoolMap(epoch, first_map(alternating(nodes)).partitions)
