"""Reads by way of the owner node, asked and answered on the front's thread.

What goes as it mostly does is done here; everything else is `ImagePlane.go_on`'s, on a thread that may wait. A read
through a thread of its own cost 88 us of processor in web and node together, 22 this way (10 KB, 16 connections, Zipf).
"""

from __future__ import annotations

import contextlib
import ipaddress
from collections.abc import Callable
from functools import partial

from elastic_images.core.coherence import Begun, Fill
from elastic_images.core.entry import head_lines
from elastic_images.core.errors import InvalidKey
from elastic_images.core.keys import check_key, quote_key
from elastic_images.front.reads import Whole
from elastic_images.http.answer import Answer
from elastic_images.http.lean_client import LeanAnswer
from elastic_images.http.response_head import ResponseHead
from elastic_images.pool.router import Asked, PoolRouter
from elastic_images.pool.view import Member
from elastic_images.web.reads.near_cache import NearCache
from elastic_images.web.reads.plane import ImagePlane

_REMEMBERED_NODES = 64


class Relay:
    """One question to the owner of a key (`front.reads.Question`)."""

    __slots__ = ("_asked", "_fill", "_key", "_near", "_plane", "_router", "address", "request")

    def __init__(
        self,
        relays: Relays,
        key: str,
        fill: Fill | None,
        asked: Asked,
        address: tuple[str, int],
        request: bytes,
    ) -> None:
        self._plane, self._router, self._near = relays.plane, relays.router, relays.near
        self._key = key
        self._fill = fill
        self._asked = asked
        self.address = address
        self.request = request

    def ended(self, head: ResponseHead | None, body: memoryview) -> Whole | Callable[[], Answer]:
        """See `front.reads.Question`. Whatever came, a registered fill is ended."""
        try:
            return self._ended(head, body)
        except BaseException:
            self._give_up()
            raise

    def _ended(self, head: ResponseHead | None, body: memoryview) -> Whole | Callable[[], Answer]:
        self._router.ended(self._asked, answered=head is not None)
        if head is None or head.status != 200:
            self._give_up()
            answer = None if head is None else LeanAnswer(head.status, head.headers, bytes(body))
            return partial(self._plane.go_on, self._asked, answer, self._key)
        told: bytes | memoryview = body
        if self._fill is not None and self._near is not None:
            entry = self._plane.kept_entry(self._key, head.headers, bytes(body))
            if entry is None:
                self._give_up()
                return partial(self._plane.go_on, self._asked, None, self._key)
            self._near.end(self._fill, entry)
            told = entry.body
        return head_lines(self._plane.relayed(head.headers, self._asked.slot)), told

    def _give_up(self) -> None:
        if self._fill is not None and self._near is not None:
            self._near.give_up(self._fill)


class Relays:
    """Makes the questions. For the front's thread."""

    def __init__(self, plane: ImagePlane, router: PoolRouter, near: NearCache | None, token: str) -> None:
        self.plane = plane
        self.router = router
        self.near = near
        self._token = token
        self._nodes: dict[str, tuple[tuple[str, int], bytes] | None] = {}

    def begin(self, name: str) -> Relay | None:
        """The question to ask for a key's whole image; None where it takes more than one, or time.

        Where the near cache wants the image, the fill is registered before the question is made.
        """
        try:
            key = check_key(name)
        except InvalidKey:
            return None
        fill = None
        if self.near is not None and self.near.wants(key):
            begun = self.near.cache.begin(key)
            if not isinstance(begun, Begun) or not begun.leader:
                return None
            fill = begun.fill
        relay = self._ask(key, fill)
        if relay is None and fill is not None and self.near is not None:
            self.near.give_up(fill)
        return relay

    def _ask(self, key: str, fill: Fill | None) -> Relay | None:
        asked = self.router.choose(key)
        if asked is None:
            return None
        node = self._known(asked.node)
        if node is None:
            self.router.give_up(asked)
            return None
        address, fields = node
        return Relay(self, key, fill, asked, address, b"GET /images/%b%b" % (quote_key(key).encode(), fields))

    def _known(self, node: Member) -> tuple[tuple[str, int], bytes] | None:
        """Where to ask, and what follows the path; None where the address must be looked up, which may take time."""
        if node.incarnation not in self._nodes:
            if len(self._nodes) >= _REMEMBERED_NODES:
                self._nodes.clear()
            self._nodes[node.incarnation] = self._made(node)
        return self._nodes[node.incarnation]

    def _made(self, node: Member) -> tuple[tuple[str, int], bytes] | None:
        host, _, port = node.data_address.rpartition(":")
        with contextlib.suppress(ValueError):
            fields = (
                f" HTTP/1.1\r\nHost: {node.data_address}\r\nAuthorization: Bearer {self._token}\r\n"
                f"X-Incarnation: {node.incarnation}\r\nX-Whole: 1\r\n\r\n"
            )
            return (str(ipaddress.ip_address(host.strip("[]"))), int(port)), fields.encode()
        return None
