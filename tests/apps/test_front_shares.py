"""What the front does with more requests of one client than its share: they wait, without a thread, or are answered."""

from __future__ import annotations

import select
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

from testing.waiting import wait_for
from tests.apps.front_support import Plane, Wire

from elastic_images.front.limits import Limits
from elastic_images.front.reads import Environ
from elastic_images.http.answer import Answer
from elastic_images.process.server import serving

FEW = {"requests_for_all": 2, "requests_of_a_client": 1, "uploads_for_all": 2, "uploads_of_a_client": 1}


class Backend:
    """Answers `/quick` at once, and everything else when `go` is set."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.inside = 0
        self.paths: list[str] = []
        self._lock = threading.Lock()

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        with self._lock:
            self.inside += 1
            self.paths.append(environ["PATH_INFO"])
        size = sum(map(len, iter(lambda: environ["wsgi.input"].read(65_536), b"")))
        if environ["PATH_INFO"] not in ("/quick", "/healthz"):
            assert self.go.wait(60)
        with self._lock:
            self.inside -= 1
        said = b"%d" % size
        start_response("200 OK", [("Content-Length", str(len(said)))])
        return [said]


@contextmanager
def front(backend: Backend, limits: Mapping[str, Any], **options: Any) -> Iterator[Callable[..., Wire]]:
    allowed = Limits(**{**FEW, **limits})
    with serving(backend, reads=Plane(), limits=allowed, **options) as bound, ExitStack() as stack:
        try:
            yield lambda source="127.0.0.1": stack.enter_context(Wire(bound.port, source))
        finally:
            backend.go.set()


def test_more_requests_of_a_client_wait_without_a_thread_and_others_do_not() -> None:
    backend = Backend()
    with front(backend, {}) as connect:
        greedy = [connect("127.0.0.2") for _ in range(6)]
        for wire in greedy:
            wire.post("/slow")
        wait_for(lambda: backend.inside == 2, "as many as all may have")
        assert connect("127.0.0.3").get("/quick")[2] == b"0"
        other = connect("127.0.0.4")
        other.post("/slow")
        wait_for(lambda: backend.inside == 3, "another client has its own")
        assert connect("127.0.0.2").get("/healthz")[0] == 200, "this never waits"
        assert connect("127.0.0.2").get("/images/a")[2] == b"A" * 10
        backend.go.set()
        for wire in (*greedy, other):
            assert wire.answer()[2] == b"0"


def test_uploads_have_places_of_their_own_and_come_whole() -> None:
    backend, size = Backend(), 1_000_000
    with front(backend, {}) as connect:
        forms = [connect() for _ in range(2)]
        for wire in forms:
            wire.post("/slow", method="POST", body=b"x" * 100)
        uploads = [connect() for _ in range(5)]
        sending = [
            threading.Thread(target=wire.post, args=["/upload"], kwargs={"method": "PUT", "body": b"x" * size})
            for wire in uploads
        ]
        for thread in sending:
            thread.start()
        wait_for(lambda: backend.inside == 4, "two forms and two uploads")
        backend.go.set()
        assert {wire.answer()[2] for wire in uploads} == {b"%d" % size}
        for thread in sending:
            thread.join()


def test_who_waits_too_long_or_in_too_long_a_line_is_told_to_come_again() -> None:
    backend = Backend()
    with front(backend, {"waiting_seconds": 0.5, "waiting_of_a_client": 1}) as connect:
        working = [connect() for _ in range(2)]
        for wire in working:
            wire.post("/slow")
        wait_for(lambda: backend.inside == 2)
        waiting = connect()
        waiting.post("/slow")
        answers = [connect().get("/slow"), waiting.answer()]
        for status, told, body in answers:
            assert (status, told["retry-after"], told["connection"]) == (503, "1", "close")
            assert b"unavailable" in body
        backend.go.set()
        assert [wire.answer()[0] for wire in working] == [200, 200]


def test_who_leaves_while_waiting_is_never_worked_for() -> None:
    backend = Backend()
    with front(backend, {}) as connect:
        working = [connect() for _ in range(2)]
        for wire in working:
            wire.post("/slow")
        wait_for(lambda: backend.inside == 2)
        gone, last = connect(), connect()
        gone.post("/gone")
        last.post("/last")
        gone.socket.close()
        nonsense = connect()
        nonsense.send(b"nonsense\r\n\r\n")
        assert nonsense.answer()[0] == 400, "which the front sees after it has seen the other leave"
        backend.go.set()
        assert last.answer()[0] == 200
        assert "/gone" not in backend.paths


def test_clients_behind_a_proxy_are_told_apart() -> None:
    backend = Backend()

    def forwarded(environ: Environ) -> str:
        return environ.get("HTTP_X_FORWARDED_FOR", environ["REMOTE_ADDR"])

    with front(backend, {}, is_exempt=lambda _address: True, forwarded_address=forwarded) as connect:
        for _ in range(4):
            connect().post("/slow", "X-Forwarded-For: 192.0.2.1")
        wait_for(lambda: backend.inside == 2)
        assert connect().get("/quick", "X-Forwarded-For: 192.0.2.2")[0] == 200
        assert connect().get("/quick")[0] == 200, "the proxy's own requests are not bounded"
        assert backend.inside == 2


def test_what_waits_for_a_place_is_given_up_before_what_others_send() -> None:
    backend = Backend()
    with front(backend, {"input_bytes": 500_000, "collected_bytes": 100_000}) as connect:
        slow = connect("127.0.0.3")
        slow.send(b"PUT /slow HTTP/1.1\r\nHost: x\r\nContent-Length: 99000\r\n\r\n" + b"x" * 98_000)
        greedy = [connect("127.0.0.2") for _ in range(7)]
        for wire in greedy:
            wire.post("/slow", method="PUT", body=b"x" * 99_000)
        answered = wait_for(lambda: select.select([wire.socket for wire in greedy], [], [], 0)[0])
        assert {wire.answer()[0] for wire in greedy if wire.socket in answered} == {503}
        slow.send(b"x" * 1000)
        backend.go.set()
        assert slow.answer()[2] == b"99000"


def test_a_form_that_is_answered_early_reaches_no_thread() -> None:
    backend, seen = Backend(), list[tuple[str, bytes]]()

    def early(environ: Environ, form: bytes) -> Answer | None:
        seen.append((environ["REMOTE_ADDR"], form))
        return Answer("429 Too Many", [("Content-Length", "4")], b"full") if form == b"again" else None

    limits = {"early_answer_seconds": 0.0}
    with front(backend, limits, early_answers={b"/quick": early}) as connect:
        wire = connect()
        assert wire.get("/quick", method="POST", body=b"first")[2] == b"5"
        status, told, body = wire.get("/quick?next=x", method="POST", body=b"again")
        assert (status, told["connection"], body) == (429, "close", b"full")
        assert wire.at_end
        assert connect().get("/quick")[2] == b"0", "only a POST"
        assert seen == [("127.0.0.1", b"first"), ("127.0.0.1", b"again")]
        assert backend.paths.count("/quick") == 2


def test_early_answers_take_their_time_but_for_the_last_of_many() -> None:
    backend = Backend()
    limits = {"early_answer_seconds": 1.0, "early_answers": 2}
    answer = Answer("429 Too Many", [("Content-Length", "4")], b"full")
    with front(backend, limits, early_answers={b"/quick": lambda _environ, _form: answer}) as connect:
        wires = [connect() for _ in range(3)]
        for wire in wires:
            wire.post("/quick", method="POST", body=b"x")
        leaving = connect()
        assert wires[2].answer()[0] == 429
        leaving.socket.close()
        assert connect().get("/images/a")[2] == b"A" * 10
        assert [wire.answer()[0] for wire in wires[:2]] == [429, 429]
