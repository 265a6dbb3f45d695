"""The nodes that a pull copies from."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from elastic_images.core.entry import Entry
from elastic_images.core.errors import ElasticImagesError, Unavailable
from elastic_images.core.keys import quote_key
from elastic_images.core.renditions import is_name
from elastic_images.http.entries import entry_from_answer
from elastic_images.http.internal_client import InternalClient
from elastic_images.http.lean_client import LeanClient
from elastic_images.memcache.warm.plan import Listed
from elastic_images.pool.view import Member, PoolView

_PAGE_KEYS = 2_000
"""Small, because making a page holds up the source and its readers."""
_DECLINE_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class PullSource:
    """A previous owner, and the partitions to pull from it. Safe to share between threads."""

    slot: int
    member: Member
    partitions: Sequence[int]
    client: LeanClient
    http: InternalClient

    def list_entries(self, local_rank: Callable[[float, str], float]) -> Iterator[Listed]:
        """Its entries, hottest first; stops early if it no longer responds. `local_rank`: the rank here of theirs."""
        cursor: int | None = 0
        wanted = ",".join(map(str, self.partitions))
        while cursor is not None:
            path = f"/keys?partitions={wanted}&renditions=1&limit={_PAGE_KEYS}&cursor={cursor}"
            try:
                answer = self.client.get(self.member.data_address, path, {})
            except Unavailable:
                return
            if answer.status != 200:
                return
            page = json.loads(answer.body)
            policy = page.get("policy", "LRU")
            for item in page["keys"]:
                if is_name(item["key"]):  # nodes of protocol 1 name renditions otherwise
                    rank = item["rank"] if "rank" in item else -item["age_seconds"]  # before protocol 3
                    yield Listed(local_rank(rank, policy), item["key"], item["size_bytes"], self.slot)
            cursor = page["next"]

    def fetch(self, key: str) -> Entry | None:
        """An entry; None if it is gone or the source does not respond."""
        try:
            answer = self.client.get(
                self.member.data_address, f"/peer/{quote_key(key)}", {"X-Incarnation": self.member.incarnation}
            )
            return entry_from_answer(key, answer.headers, answer.body) if answer.status == 200 else None
        except ElasticImagesError:
            return None

    def decline(self, cut: float, policy: str) -> None:
        """Say that entries of this shared rank or less are not wanted. A source that misses this keeps them longer."""
        body = {
            "incarnation": self.member.incarnation,
            "partitions": list(self.partitions),
            "cut": cut,
            "policy": policy,
            "older_than_seconds": max(0.0, -cut),  # before protocol 3
        }
        try:
            self.http.post_json(f"http://{self.member.data_address}/decline", body, timeout_seconds=_DECLINE_SECONDS)
        except ElasticImagesError:
            return


class PullSources:
    """Finds the sources of a pull. Safe to share between threads."""

    def __init__(self, client: LeanClient, http: InternalClient) -> None:
        self._client = client
        self._http = http

    def live(self, view: PoolView, partitions: Mapping[int, Sequence[int]]) -> dict[int, PullSource]:
        """The live nodes among these slots, by slot, each with the partitions to pull from it."""
        return {
            slot: PullSource(slot, member, its, self._client, self._http)
            for slot, its in partitions.items()
            if (member := view.live_node(slot))
        }
