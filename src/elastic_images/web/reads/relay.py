"""Relays on the front's thread: asks the owner node without waiting for its answer.

This handles the usual course; everything else is left to `ImagePlane.finish_relay`, on a thread that may wait. A read
through a thread of its own cost 88 us of processor time in web and node together, this way 22 (10 KB, 16 connections,
Zipf).
"""

from __future__ import annotations

import contextlib
import ipaddress
from functools import partial

from elastic_images.core.entry import Entry, head_lines
from elastic_images.core.errors import InvalidKey
from elastic_images.core.fills import Fill
from elastic_images.core.keys import check_key
from elastic_images.core.renditions import is_rendition
from elastic_images.core.visibility import Visibility
from elastic_images.front.reads import Find, WholeImage, WholeRead
from elastic_images.http.entries import has_facts, told_visibility
from elastic_images.http.lean_client import LeanAnswer, call_lines
from elastic_images.http.response_head import ResponseHead
from elastic_images.pool.router import NodeRequest, PoolRouter, path_on_node
from elastic_images.pool.view import Member
from elastic_images.web.reads.near_cache import NearCache
from elastic_images.web.reads.near_fills import NearFills
from elastic_images.web.reads.plane import ImagePlane

_REMEMBERED_NODES = 64


class Relay:
    """One request to the owner of a key (`front.reads.UpstreamRequest`)."""

    __slots__ = (
        "_asked",
        "_fill",
        "_fills",
        "_plane",
        "_read",
        "_router",
        "address",
        "request",
    )

    def __init__(
        self,
        relays: Relays,
        read: WholeRead,
        fill: Fill | None,
        asked: NodeRequest,
        address: tuple[str, int],
        request: bytes,
    ) -> None:
        self._plane, self._router, self._fills = relays.plane, relays.router, relays.fills
        self._read = read
        self._fill = fill
        self._asked = asked
        self.address = address
        self.request = request

    def on_reply(self, head: ResponseHead | None, body: memoryview) -> WholeImage | Find:
        """See `front.reads.UpstreamRequest`. A registered fill is ended, whatever the answer."""
        fill, fills = self._fill, self._fills
        self._router.end_request(self._asked, answered=head is not None)
        answer = None
        if head is not None and head.status == 200 and (fill is None or has_facts(head.headers)):
            whole: bytes | memoryview = body
            if fill is not None and fills is not None:
                # The node has checked these bytes; the copy that is kept here is checked again, elsewhere.
                whole = fills.complete(fill, head.headers, body)
            seen_by = told_visibility(head.headers)
            if seen_by is not None and self._is_seen(*seen_by):
                told = self._plane.relayed_headers(head.headers, self._asked.slot, seen_by[0], self._read.query)
                return head_lines(told), whole
            answer = LeanAnswer(200, head.headers, bytes(whole))
        elif fill is not None and fills is not None:
            fills.abandon(fill)
        if head is not None and head.status != 200:
            answer = LeanAnswer(head.status, head.headers, bytes(body))
        return partial(self._plane.finish_relay, self._asked, answer, self._read.name, self._read.environ)

    def _is_seen(self, visibility: Visibility, owner_id: int | None) -> bool:
        """Whether the client is known to see it."""
        viewers = self._plane.viewers
        if visibility == viewers.free:
            return True
        viewer = viewers.known(self._read.environ())
        return viewer is not None and viewer.sees(visibility, owner_id)


class Relays:
    """Makes the relays. Only for the front's thread."""

    def __init__(self, plane: ImagePlane, router: PoolRouter, near: NearCache | None, token: str) -> None:
        self.plane = plane
        self.router = router
        self.near = near
        self.fills = None if near is None else NearFills(plane, near)
        self._token = token
        self._nodes: dict[str, tuple[tuple[str, int], bytes] | None] = {}

    def begin_relay(self, read: WholeRead) -> Relay | None:
        """A relay for a whole image or rendition; None if one request is not enough, or it would have to wait.

        If the near cache wants the image, its fill is registered before the relay is made.
        """
        name, viewers = read.name, self.plane.viewers
        if viewers.free is None or (read.query and self.plane.requested.presentation(read.query).signed):
            viewer = viewers.known(read.environ())
            if viewer is None or not viewer.may_read:
                return None
        if not is_rendition(name):
            try:
                check_key(name)
            except InvalidKey:
                return None
        ticket = self.near.begin_fill(name) if self.near is not None else None
        if ticket is None:
            return self._made(read, None)
        if isinstance(ticket, Entry) or not ticket.leader:
            return None
        relay = self._made(read, ticket.fill)
        if relay is None and self.near is not None:
            self.near.cache.abandon_fill(ticket.fill)
        return relay

    def _made(self, read: WholeRead, fill: Fill | None) -> Relay | None:
        asked = self.router.begin_request(read.name)
        if asked is None:
            return None
        target = self._target(asked.node)
        if target is None:
            self.router.cancel_request(asked)
            return None
        address, fields = target
        return Relay(self, read, fill, asked, address, b"GET %b%b" % (path_on_node(read.name).encode(), fields))

    def _target(self, node: Member) -> tuple[tuple[str, int], bytes] | None:
        """The node's address, and what follows the path in a request; None if a host name would have to be resolved."""
        if node.incarnation not in self._nodes:
            if len(self._nodes) >= _REMEMBERED_NODES:
                self._nodes.clear()
            self._nodes[node.incarnation] = self._new_target(node)
        return self._nodes[node.incarnation]

    def _new_target(self, node: Member) -> tuple[tuple[str, int], bytes] | None:
        host, _, port = node.data_address.rpartition(":")
        with contextlib.suppress(ValueError):
            fields = (
                f" HTTP/1.1\r\nHost: {node.data_address}\r\n{call_lines(self._token)}"
                f"X-Incarnation: {node.incarnation}\r\nX-Whole: 1\r\n\r\n"
            )
            return (str(ipaddress.ip_address(host.strip("[]"))), int(port)), fields.encode()
        return None
