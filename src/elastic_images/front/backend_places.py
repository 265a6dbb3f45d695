"""Whose requests the backend works on: a client with many of them under way waits, without a thread; others do not."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable

from elastic_images.core.errors import Unavailable


class Place:
    """What one request has, or waits for."""

    __slots__ = ("_places", "begin", "client", "waits")

    def __init__(self, places: BackendPlaces, client: str | None, begin: Callable[[], None]) -> None:
        self._places = places
        self.client = client
        self.begin = begin
        self.waits = False
        """Whether it has to wait until `begin` is called."""

    def leave(self) -> None:
        """It is no longer needed, or no longer waited for. One of those that wait may begin. Call it once."""
        self._places.leave(self)


class BackendPlaces:
    """A client gets a place at once while few are taken in all, or few are its own. For the front's own thread.

    There are places for any number of clients: each is bounded, and the backend bounds what all of them get.
    """

    def __init__(self, for_all: int, of_a_client: int, waiting_of_a_client: int) -> None:
        """`for_all`: up to so many may all belong to one client, which otherwise gets `of_a_client`."""
        self._for_all = for_all
        self._of_a_client = of_a_client
        self._waiting_of_a_client = waiting_of_a_client
        self._taken = Counter[str | None]()
        self._all_taken = 0
        self._waiting: dict[str | None, deque[Place]] = {}
        """In turns: the client that has waited longest comes first."""
        self.refused = 0
        """How many requests found too many of their client waiting."""

    def ask(self, client: str | None, begin: Callable[[], None]) -> Place:
        """A place, or one to wait for: `begin` is called then, later.

        `client`: by `places.client_of`; None may have any number. Raises Unavailable if too many of this client wait.
        """
        place, line = Place(self, client, begin), self._waiting.get(client)
        if line is None:
            if self._has_room(client):
                self._take(place)
                return place
            line = self._waiting[client] = deque()
        if len(line) >= self._waiting_of_a_client:
            self.refused += 1
            raise Unavailable("Too many requests of yours are under way; try again in a moment.")
        place.waits = True
        line.append(place)
        return place

    def leave(self, place: Place) -> None:
        """See `Place.leave`."""
        client = place.client
        if place.waits:
            line = self._waiting[client]
            line.remove(place)
            if not line:
                del self._waiting[client]
            return
        self._all_taken -= 1
        self._taken[client] -= 1
        if not self._taken[client]:
            del self._taken[client]
        if not self._waiting:
            return
        if client not in self._waiting or self._taken[client] >= self._of_a_client:
            client = next(iter(self._waiting))
        if self._has_room(client):
            self._begin_next(client)

    def _has_room(self, client: str | None) -> bool:
        return client is None or self._all_taken < self._for_all or self._taken[client] < self._of_a_client

    def _take(self, place: Place) -> None:
        self._taken[place.client] += 1
        self._all_taken += 1

    def _begin_next(self, client: str | None) -> None:
        line = self._waiting.pop(client)
        place = line.popleft()
        if line:
            self._waiting[client] = line  # now the last in turn
        place.waits = False
        self._take(place)
        place.begin()
