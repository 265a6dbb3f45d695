"""Kills a process at the n-th step of what it does to object stores: before any change, or within one."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from elastic_images.storage.objects.local import LocalObjectStore
from elastic_images.storage.objects.object_store import ObjectStore, StoredObject
from elastic_images.storage.objects.s3.boto import BotoS3Service
from elastic_images.storage.objects.s3.open_object import Body
from elastic_images.storage.objects.s3.store import S3ObjectStore

CRASHED = 9
_READS = ("GetObject", "Head", "List")


class Steps:
    """Counts the steps of this process, and ends it at one as SIGKILL would."""

    def __init__(self, die_at: int) -> None:
        self._left = die_at

    def __call__(self, _name: str = "") -> None:
        if self._left == 0:
            os._exit(CRASHED)
        self._left -= 1


def crashes_at(act: Callable[[Steps], object], number: int) -> bool:
    """Run it in a child process that dies at step `number`, counted from 0. False if it has fewer steps."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            act(Steps(number))
            code = 0
        finally:
            os._exit(code)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code in (0, CRASHED), f"the process failed with {code}"
    return code == CRASHED


def open_stepping(url: str, step: Steps) -> ObjectStore:
    """The object store at `url`; each of its changes takes a step or more."""
    parts = urlsplit(url)
    if parts.scheme == "s3":
        return S3ObjectStore(_SteppingService(step), parts.netloc, parts.path.strip("/"))
    return _SteppingFolder(Path(unquote(parts.path)), step)


class _SteppingService:
    """S3 in which each request that changes something takes a step."""

    def __init__(self, step: Steps) -> None:
        self._service = BotoS3Service()
        self._step = step

    def call(self, operation: str, **arguments: Any) -> dict[str, Any]:
        if operation.startswith(_READS):
            return self._service.call(operation, **arguments)
        self._step()
        return self._service.call(operation, **arguments)

    def body(self, answer: dict[str, Any]) -> Body:
        return self._service.body(answer)


class _SteppingFolder(LocalObjectStore):
    """A folder in which each change takes a step, and a write those within it."""

    def __init__(self, folder: Path, step: Steps) -> None:
        super().__init__(folder, crash_point=step)
        self._step = step

    def put(self, chunks: Iterable[bytes], name: str | None = None) -> StoredObject:
        self._step()
        return super().put(chunks, name)

    def replace(self, name: str, chunks: Iterable[bytes]) -> StoredObject:
        self._step()
        return super().replace(name, chunks)

    def quarantine(self, name: str) -> None:
        self._step()
        super().quarantine(name)

    def delete(self, name: str) -> None:
        self._step()
        super().delete(name)
