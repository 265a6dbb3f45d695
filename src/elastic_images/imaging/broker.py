"""The broker: the one process of a machine that decides which image is decoded when, and in which worker.

1. A client sends a job and the image's descriptor (`client`).
2. The job waits for its turn (`admission`); a worker gets it (`crew`), first with little memory.
3. The worker reads the header. If the image takes more, the job waits again, with its true cost.
4. The worker's answer goes back, or says why it failed. If memory may be the reason, the job runs again with more.

A client that closes its connection ends its job. The broker itself never looks at an image.
"""

from __future__ import annotations

import contextlib
import logging
import os
import selectors
import socket
import struct
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from elastic_images.core.errors import (
    BrokenImage,
    ElasticImagesError,
    EmptyBody,
    InvalidRequest,
    NotAnImage,
    TooLarge,
    Unavailable,
)
from elastic_images.imaging.admission import LIGHT_BYTES, MEGABYTE, Admission, Cost, Waiting
from elastic_images.imaging.crew import Template, Worker
from elastic_images.imaging.imaging import Priority
from elastic_images.imaging.limits import Limits
from elastic_images.imaging.messages import Channel, Message
from elastic_images.process.stop_signals import StopSignals

_log = logging.getLogger(__name__)
CPU_SECONDS = 20
MAX_WAITING = 256
MAX_WAIT_SECONDS = 20.0
"""How long a job may wait for its turn."""
WORKER_IDLE_SECONDS = 30.0
TEMPLATE_IDLE_SECONDS = 120.0
_TEMPLATE_SECONDS = 30.0
"""How long a template may take to start a worker."""
_TICK_SECONDS = 0.5
_CPU_SIGNAL = -24
_CRASHES = frozenset({-4, -6, -7, -8, -11})
"""SIGILL, SIGABRT, SIGBUS, SIGFPE and SIGSEGV: what a decoder may end in, for lack of memory or by the image."""
_MORE = 4
"""How many times the memory a job gets that may have failed for want of it."""
_OUTCOMES = frozenset(
    {"ok", *(kind.slug for kind in (BrokenImage, EmptyBody, InvalidRequest, NotAnImage, TooLarge, Unavailable))}
)
_PEER = struct.Struct("3i")


@dataclass(eq=False)
class Job:
    """What one client waits for."""

    channel: Channel
    fields: Mapping[str, Any]
    body: int
    deadline: float
    place: Waiting
    worker: Worker | None = None
    arrived_at: float = 0.0


@dataclass
class Figures:
    """What the broker counts."""

    outcomes: dict[str, int] = field(default_factory=dict)
    """By `KIND.OUTCOME`; the outcome is `ok` or an error's slug."""
    seconds: dict[str, float] = field(default_factory=dict)
    """From a job's arrival to its answer, by kind."""
    killed: int = 0


class Broker:
    """Serves `listener` until a signal asks to stop. For one thread.

    Args:
        listener: a listening Unix socket; others may hold it, too.
        memory_bytes: what all images that are being decoded may take together.
        limits: passed on to workers.
        places: how many heavy jobs run at once.
        cpu_seconds: processor time for one job.
        worker_idle_seconds: how long a worker is kept for the next job.
        template_idle_seconds: how long the template is kept for the next worker.
    """

    def __init__(
        self,
        listener: socket.socket,
        *,
        memory_bytes: int,
        limits: Limits,
        places: int = os.cpu_count() or 1,
        cpu_seconds: int = CPU_SECONDS,
        worker_idle_seconds: float = WORKER_IDLE_SECONDS,
        template_idle_seconds: float = TEMPLATE_IDLE_SECONDS,
    ) -> None:
        self._listener = listener
        self._limits = limits
        self._cpu_seconds = cpu_seconds
        self._worker_idle_seconds = worker_idle_seconds
        self._template_idle_seconds = template_idle_seconds
        self._memory_bytes = memory_bytes
        self._admission = Admission(memory_bytes, places)
        self._selector = selectors.DefaultSelector()
        self._clients: dict[Channel, Job | None] = {}
        self._template: Template | None = None
        self._idle: list[Worker] = []
        self._to_run: list[Job] = []
        """Admitted, without a worker yet."""
        self._forking_since = 0.0
        self._used_at = time.monotonic()
        self._numbers = 0
        self._figures = Figures()
        self.last_turn = time.monotonic()

    def run(self, signals: StopSignals) -> None:
        """Serve. SIGUSR1: a successor serves the socket, so finish what is under way."""
        self._listener.setblocking(False)  # noqa: FBT003 - the standard library's signature
        self._selector.register(self._listener, selectors.EVENT_READ, self._accept)
        self._selector.register(signals, selectors.EVENT_READ, signals.drain)
        draining = False
        looked_at = 0.0
        try:
            while not signals.count and not (draining and not self._clients):
                for key, _ in self._selector.select(_TICK_SECONDS):
                    if key.fd in self._selector.get_map():  # an earlier one of these may have closed it
                        key.data()
                self.last_turn = time.monotonic()
                if signals.replaced and not draining:
                    draining = True
                    self._selector.unregister(self._listener)
                if draining:
                    self._close_idle_clients()
                if self.last_turn - looked_at >= _TICK_SECONDS:
                    looked_at = self.last_turn
                    self._look_after(looked_at)
        finally:
            for channel in list(self._clients):
                self._hang_up(channel)
            self._end_template()
            self._selector.close()

    # Clients

    def _accept(self) -> None:
        with contextlib.suppress(BlockingIOError):
            connection, _ = self._listener.accept()
            if not _is_same_user(connection):
                connection.close()
                return
            connection.setblocking(False)  # noqa: FBT003 - as above
            channel = Channel(connection)
            self._clients[channel] = None
            self._selector.register(channel, selectors.EVENT_READ, partial(self._read_client, channel))

    def _read_client(self, channel: Channel) -> None:
        try:
            message = channel.receive()
        except BlockingIOError:
            return
        except (OSError, ValueError):
            message = None
        if message is None or self._clients[channel] is not None:
            self._hang_up(channel)
        elif message.fields["kind"] == "figures":
            self._reply(channel, {"figures": self.figures()})
        elif message.fields["kind"] == "give_up":
            self._give_up(message.fields["name"])
            self._reply(channel, {})
        else:
            self._take(channel, message)

    def _take(self, channel: Channel, message: Message) -> None:
        now = self._used_at = time.monotonic()
        self._numbers += 1
        fields = message.fields
        place = Waiting(Priority(fields["priority"]), self._numbers, Cost(), fields.get("client", ""))
        job = Job(channel, fields, message.descriptors.pop(), now + fields["seconds"], place)
        job.arrived_at = now
        self._clients[channel] = job
        if self._admission.waiting >= MAX_WAITING:
            self._fail(job, Unavailable("Too many images are waiting to be decoded.", retry_after_seconds=2))
            return
        if now >= job.deadline:
            self._fail(job, _too_late())
            return
        self._wait(job)
        self._start_jobs(now)

    def _give_up(self, name: str) -> None:
        for job in [job for job in self._clients.values() if job is not None]:
            if name and job.fields.get("name") == name:
                self._fail(job, Unavailable("Nobody waits for this image any more."))

    def _hang_up(self, channel: Channel) -> None:
        """Close a client's connection, and end its job."""
        job = self._clients.pop(channel)
        if job is not None:
            self._forget(job)
        self._selector.unregister(channel)
        channel.close()

    def _close_idle_clients(self) -> None:
        for channel in [channel for channel, job in self._clients.items() if job is None]:
            self._hang_up(channel)

    def _reply(self, channel: Channel, fields: Mapping[str, Any], descriptors: Sequence[int] = ()) -> None:
        try:
            channel.send(fields, descriptors)
        except OSError:
            self._hang_up(channel)

    # Jobs

    def _wait(self, job: Job) -> None:
        job.place.since = time.monotonic()
        job.place.payload = job
        self._admission.add(job.place)

    def _start_jobs(self, now: float) -> None:
        while (place := self._admission.start_next(now)) is not None:
            self._to_run.append(place.payload)
        while self._to_run and self._idle:
            self._give(self._to_run.pop(0), self._idle.pop())
        missing = len(self._to_run) - (self._template.forking if self._template else 0)
        for _ in range(missing):
            self._fork(now)

    def _fork(self, now: float) -> None:
        if self._template is None:
            self._template = Template(self._limits)
            self._selector.register(self._template.channel, selectors.EVENT_READ, self._read_template)
        if not self._template.forking:
            self._forking_since = now
        try:
            self._template.fork()
        except OSError:
            self._template_lost()

    def _give(self, job: Job, worker: Worker) -> None:
        cost = job.place.cost
        told = {"memory_bytes": cost.memory_bytes, "heavy": cost.heavy, "cpu_seconds": self._cpu_seconds}
        try:
            worker.channel.send({**job.fields, **told}, [job.body])
        except OSError:  # it has just ended, as the template will tell
            self._idle = [other for other in self._idle if other is not worker]
            self._to_run.append(job)
            return
        job.worker, worker.job = worker, job

    def _finish(self, job: Job, fields: Mapping[str, Any], descriptors: Sequence[int] = ()) -> None:
        """Answer the client."""
        self._forget(job)
        self._clients[job.channel] = None
        kind, outcome = job.fields["kind"], fields.get("error", "ok")
        name = f"{kind}.{outcome}" if outcome in _OUTCOMES else f"{kind}.internal-error"
        self._figures.outcomes[name] = self._figures.outcomes.get(name, 0) + 1
        took = time.monotonic() - job.arrived_at
        self._figures.seconds[kind] = self._figures.seconds.get(kind, 0.0) + took
        self._reply(job.channel, fields, descriptors)

    def _fail(self, job: Job, error: ElasticImagesError) -> None:
        told = {"error": error.slug, "message": str(error), "retry_after": error.retry_after_seconds}
        self._finish(job, told)

    def _forget(self, job: Job) -> None:
        """Let go of all that a job holds. A worker that still computes for it is killed."""
        self._used_at = time.monotonic()
        self._admission.remove(job.place)
        if job in self._to_run:
            self._to_run.remove(job)
        if job.worker is not None:
            job.worker.kill()
            self._detach(job)
        os.close(job.body)

    def _detach(self, job: Job) -> None:
        if job.worker is not None:
            job.worker.job = None
            job.worker = None

    # Workers

    def _read_template(self) -> None:
        if self._template is not None and not self._template.read(self._worker_started, self._worker_ended):
            self._template_lost()

    def _worker_started(self, worker: Worker) -> None:
        self._selector.register(worker.channel, selectors.EVENT_READ, partial(self._read_worker, worker))
        self._forking_since = time.monotonic()
        self._rest(worker)

    def _rest(self, worker: Worker) -> None:
        """It has nothing to do."""
        worker.idle_since = time.monotonic()
        self._idle.append(worker)
        self._start_jobs(worker.idle_since)

    def _read_worker(self, worker: Worker) -> None:
        try:
            message = worker.channel.receive()
        except BlockingIOError:
            return
        except (OSError, ValueError):
            message = None
        if message is None or worker.job is None:
            self._let_go(worker)
            return
        job: Job = worker.job
        spent = job.place.cost.heavy
        self._detach(job)
        try:
            self._judge(job, message)
        except (KeyError, TypeError, ValueError):  # an image may have taken it over
            _log.warning("worker %d sent something that is no answer", worker.pid)
            self._fail(job, Unavailable("The process that decoded this image failed; try again."))
            spent = True
        message.close()
        if spent:
            self._let_go(worker)  # what it took goes back to the system
        else:
            self._rest(worker)
        self._start_jobs(time.monotonic())

    def _judge(self, job: Job, message: Message) -> None:
        """A worker has answered."""
        told = message.fields
        if "failed" in told:
            self._judge_failure(job, str(told["failed"]), enough=bool(told["enough"]))
        elif "needs" in told:
            self._again(job, max(LIGHT_BYTES, int(told["needs"])))
        else:
            self._finish(job, told, message.descriptors)

    def _judge_failure(self, job: Job, reason: str, *, enough: bool) -> None:
        """A decoder gave up. `enough`: not for want of memory.

        Decoders that lack memory call an image broken: "broken data stream" (progressive JPEG), "could not create
        decoder" (WebP), "decoding of color planes failed" (AVIF).
        """
        had_bytes = job.place.cost.memory_bytes
        if enough:
            self._fail(job, BrokenImage(reason))
        elif had_bytes < self._admission.heavy_bytes:
            self._again(job, had_bytes * _MORE)
        else:
            self._fail(job, self._too_large())

    def _again(self, job: Job, memory_bytes: int) -> None:
        self._admission.remove(job.place)
        job.place.cost = Cost(memory_bytes, heavy=True)
        self._wait(job)

    def _too_large(self) -> TooLarge:
        return TooLarge(
            f"Decoding this image takes more than IMAGING_MEMORY_MB ({self._memory_bytes // MEGABYTE:,}) allows: "
            "make it smaller, or have that setting raised."
        )

    def _let_go(self, worker: Worker) -> None:
        """Have it end. The template tells when it has."""
        self._idle = [other for other in self._idle if other is not worker]
        self._selector.unregister(worker.channel)
        worker.kill()

    def _worker_ended(self, worker: Worker, code: int) -> None:
        self._idle = [other for other in self._idle if other is not worker]
        with contextlib.suppress(KeyError):
            self._selector.unregister(worker.channel)
        worker.close()
        job: Job | None = worker.job
        if job is None:
            return
        self._detach(job)
        self._figures.killed += 1
        if code == _CPU_SIGNAL:
            self._fail(
                job, BrokenImage(f"Decoding this image takes more than {self._cpu_seconds} s of processor time.")
            )
        elif code in _CRASHES:
            enough = job.place.cost.memory_bytes >= self._admission.heavy_bytes
            self._judge_failure(job, "This image cannot be decoded: the decoder crashed.", enough=enough)
        else:
            _log.warning("worker %d was killed (%d) while it worked", worker.pid, code)
            self._fail(job, Unavailable("The process that decoded this image was killed; try again."))

    def _template_lost(self) -> None:
        """Start over: the workers ended with it."""
        _log.warning("the template of the workers is gone; starting over")
        self._end_template()

    def _end_template(self) -> None:
        template, self._template = self._template, None
        if template is None:
            return
        self._selector.unregister(template.channel)
        template.end()
        for worker in template.workers.values():
            worker.kill()
            self._worker_ended(worker, -9)

    # Time

    def _look_after(self, now: float) -> None:
        for job in [job for job in self._clients.values() if job is not None]:
            waited = now - job.place.since if job.worker is None else 0.0
            if now >= job.deadline:
                self._fail(job, _too_late())
            elif waited > MAX_WAIT_SECONDS:
                self._fail(job, Unavailable("Too many images are being decoded right now.", retry_after_seconds=2))
            elif job.worker is not None and job.worker.is_stopped:
                self._fail(job, Unavailable("The process that decoded this image was stopped; try again."))
        for worker in [worker for worker in self._idle if now - worker.idle_since > self._worker_idle_seconds]:
            self._let_go(worker)
        self._look_after_template(now)
        self._start_jobs(now)

    def _look_after_template(self, now: float) -> None:
        template = self._template
        if template is None:
            return
        late = template.forking and now - self._forking_since > _TEMPLATE_SECONDS
        if late or (template.ready and template.is_stopped):
            self._template_lost()
        elif not template.workers and not template.forking and now - self._used_at > self._template_idle_seconds:
            self._end_template()

    def figures(self) -> dict[str, Any]:
        """For metrics and readiness."""
        workers = self._template.workers.values() if self._template else []
        return {
            "outcomes": self._figures.outcomes,
            "seconds": self._figures.seconds,
            "killed": self._figures.killed,
            "waiting": self._admission.waiting,
            "admitted_bytes": self._admission.admitted_bytes,
            "workers": len(workers),
            "busy": sum(worker.job is not None for worker in workers),
        }


def _too_late() -> Unavailable:
    return Unavailable("Decoding this image took too long; try again later.")


def _is_same_user(connection: socket.socket) -> bool:
    if not hasattr(socket, "SO_PEERCRED"):
        return True  # the socket's mode has to do
    _, user, _ = _PEER.unpack(connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size))
    return bool(user == os.geteuid())
