"""The data plane of a web process, on nodes of a test."""

from __future__ import annotations

import http.client
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from testing.settings import make_settings
from tests.apps.node_support import LEASE_SECONDS, TOKEN, Node, Storage

from elastic_images.accounts.access import Anonymous, effective
from elastic_images.accounts.principal import ANONYMOUS, Principal, Role, scopes_of_role
from elastic_images.accounts.signing_keys import SigningAccount
from elastic_images.core.assignment import alternating
from elastic_images.core.cache import ByteCache
from elastic_images.core.coherent_cache import CoherentCache
from elastic_images.core.errors import Unauthenticated
from elastic_images.core.pool_map import first_map
from elastic_images.http.answer import Answer
from elastic_images.http.lean_client import LeanClient
from elastic_images.metrics.counters import Counters
from elastic_images.pool.router import PoolRouter
from elastic_images.pool.view import Member, PoolView, node_id
from elastic_images.process.server import serving
from elastic_images.web.reads.front_reads import WebFrontReads
from elastic_images.web.reads.near_cache import NearCache
from elastic_images.web.reads.plane import ImagePlane
from elastic_images.web.reads.relay import Relays
from elastic_images.web.reads.requested_images import RequestedImages, rendition_rules
from elastic_images.web.reads.viewers import Viewers

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

KEY = "k1"
"""In partition 11: node 0 of one, node 1 of two."""
LATER = 2e9
RULES = rendition_rules(make_settings(Path("/nowhere")))


class Web:
    """A data plane with what it stands on."""

    kind: type[ImagePlane] = ImagePlane

    def __init__(
        self,
        storage: Storage,
        *nodes: Node,
        near_bytes: int = 0,
        serve_stale: float = 0.0,
        mode: Anonymous = "read",
    ) -> None:
        self.storage, self.nodes = storage, list(nodes)
        self.now = 0.0
        self.mode = mode
        self.people = {"ann": person(1, "ann"), "bob": person(2, "bob"), "root": person(3, "root", "admin")}
        """Who has a session or a token, whose secret is the name."""
        self.identified: list[str] = []
        self.signers = {"a0000001": "ann", "b0000002": "bob", "c0000003": "root"}
        """Whose the signing keys are; the secret is `secret` and the id."""
        self.keys_asked: list[str] = []
        self.viewers = Viewers(mode, self._identify, lambda _: [], self, clock=lambda: self.now)
        self.counters = Counters()
        self.near = self._near(near_bytes) if near_bytes else None
        self.client = LeanClient(TOKEN, answer_seconds=60.0, connect_seconds=60.0)
        self.port: int | None = None
        self.newer: PoolView | None = None
        self.refreshes = 0
        self.view = PoolView(first_map(alternating(1)), tuple(node.member for node in nodes))
        router = PoolRouter(
            lambda: self.view,
            self._refresh,
            self.client,
            self.client,
            on_failure=self.counters.counter("node_failures").increment,
            clock=lambda: self.now,
        )
        self.router = router
        self.plane = self.kind(
            router,
            storage,
            self.counters,
            self.near,
            RequestedImages(
                RULES,
                lambda environ: self.viewers.find(environ).via,
                lambda environ: self.viewers.known(environ) is not None,
            ),
            self.viewers,
            serve_stale_seconds=serve_stale,
            clock=lambda: LATER,
        )

    def find(self, kid: str) -> SigningAccount | None:
        """As `SigningKeys.find`."""
        self.keys_asked.append(kid)
        owner = self.signers.get(kid)
        if owner is None:
            return None
        return SigningAccount(kid, f"secret {kid}", "", replace(self.people[owner], via="link"), None)

    def note_use(self, account: SigningAccount) -> None:
        """As `SigningKeys.note_use`."""

    @contextmanager
    def behind_front(self) -> Iterator[None]:
        """Have `get` ask over HTTP while the block runs."""
        relays = Relays(self.plane, self.router, self.near, TOKEN)
        reads = WebFrontReads(self.plane, self.near, relays, self.counters, lambda _environ: True)
        if relays.fills is not None:
            relays.fills.start()
        with serving(self.plane.in_front_of(nobody, lambda _environ: False), reads=reads, threads=64) as bound:
            self.port = bound.port
            yield
        if relays.fills is not None:
            relays.fills.stop()

    def _identify(self, environ: Mapping[str, str]) -> Principal:
        sent, cookie = environ.get("HTTP_AUTHORIZATION"), environ.get("HTTP_COOKIE")
        name = (sent or cookie or "").removeprefix("Bearer ").removeprefix("session=")
        self.identified.append(name)
        found = self.people.get(name)
        if found is None and sent is not None:
            raise Unauthenticated("Invalid, expired or revoked token.")
        found = replace(found, via="session" if sent is None else "token") if found else ANONYMOUS
        return effective(self.mode, found)

    def _near(self, near_bytes: int) -> NearCache:
        near = NearCache(near_bytes)
        near.cache = CoherentCache(ByteCache(near_bytes), lambda: self.now, slot=None)
        near.cache.start_incarnation("a" * 32)
        near.cache.renew_lease(LEASE_SECONDS)
        return near

    def _refresh(self) -> PoolView:
        self.refreshes += 1
        if self.newer is not None:
            self.view = self.newer
        return self.view

    def get(self, key: str = KEY, method: str = "GET", query: str = "", **headers: str) -> Answer:
        environ: dict[str, Any] = {
            "REQUEST_METHOD": method,
            "PATH_INFO": "/images/" + key.encode().decode("latin-1"),
            "QUERY_STRING": query,
        }
        environ |= {f"HTTP_{name.upper()}": value for name, value in headers.items()}
        if self.port is not None:
            return self._fetch(method, key, query, headers)
        return self.plane.respond(environ) or BACKEND

    def _fetch(self, method: str, key: str, query: str, fields: Mapping[str, str]) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        target = f"/images/{quote(key)}" + (f"?{query}" if query else "")
        connection.request(method, target, headers={name.replace("_", "-"): fields[name] for name in fields})
        said = connection.getresponse()
        body = said.read()
        connection.close()
        headers = [header for header in said.getheaders() if header[0] != "Date"]
        return Answer(f"{said.status} {said.reason}", headers, body)

    def point_at(self, address: str) -> None:
        """Have a server of the test's own stand for node 0."""
        self.view = PoolView(first_map(alternating(1)), (Member("0" * 32, node_id(0), "node", "", address),))


BACKEND = Answer("418 I'm A Teapot", [("Content-Length", "0")], b"")


def nobody(_environ: WSGIEnvironment, start_response: StartResponse) -> list[bytes]:
    """The backend, which knows nothing."""
    start_response(BACKEND.status, BACKEND.headers)
    return []


def person(user_id: int, name: str, role: Role = "user") -> Principal:
    return Principal(user_id, name, scopes_of_role(role), "token")


def told(answer: Answer, name: str = "X-Cache") -> str | None:
    values = [value for header, value in answer.headers if header == name]
    assert len(values) <= 1, answer.headers
    return values[0] if values else None
