"""A worker: decodes what strangers sent, with nothing at hand but the image. The only process that uses a decoder.

It is forked from the template. It has two descriptors at a time, limits of memory and processor time, and no secrets;
it dies with the template. What it cannot do without a system call filter, which the standard library does not offer,
is to give up opening files of its user.
"""

from __future__ import annotations

import contextlib
import ctypes
import math
import mmap
import os
import re
import resource
import socket
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from elastic_images.core.errors import BrokenImage, ElasticImagesError
from elastic_images.core.rendition_spec import RenditionSpec
from elastic_images.imaging.costs import cost_of
from elastic_images.imaging.header import read_header
from elastic_images.imaging.inspection import inspect
from elastic_images.imaging.limits import Limits
from elastic_images.imaging.memory_files import memory_file
from elastic_images.imaging.messages import Channel, Message
from elastic_images.imaging.orphans import die_with_parent
from elastic_images.imaging.rendering import render

_PR_SET_NO_NEW_PRIVS = 38
_MAX_FILES = 16
_MAX_FILE_BYTES = 256_000_000
_NICE = 5
_UNKNOWN_BYTES = 1_000_000_000
"""The address space of this process on systems without /proc."""
_LARGEST_ALLOCATION = 8
"""Bytes for each pixel: no decoder asks for more at once. Who fails with so much to spare had enough memory."""


def run(connection: socket.socket, parent: int, limits: Limits) -> None:
    """Work until the broker closes the connection. Call it in a new process of `parent`."""
    _confine(connection, parent)
    channel = Channel(socket.socket(fileno=_ONLY_DESCRIPTOR))
    while (message := channel.receive()) is not None:
        answer, descriptors = _answer(message, limits)
        channel.send(answer, descriptors)
        for descriptor in descriptors:
            os.close(descriptor)


_ONLY_DESCRIPTOR = 3


def _confine(connection: socket.socket, parent: int) -> None:
    die_with_parent(parent)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    os.environ.clear()
    nothing = os.open(os.devnull, os.O_RDWR)
    for standard in range(3):
        os.dup2(nothing, standard)
    os.dup2(connection.detach(), _ONLY_DESCRIPTOR, inheritable=False)
    os.closerange(_ONLY_DESCRIPTOR + 1, 65_536)
    resource.setrlimit(resource.RLIMIT_NOFILE, (_MAX_FILES, _MAX_FILES))
    resource.setrlimit(resource.RLIMIT_FSIZE, (_MAX_FILE_BYTES, _MAX_FILE_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))


def _answer(message: Message, limits: Limits) -> tuple[Mapping[str, Any], list[int]]:
    job = message.fields
    largest_bytes = 0
    before_bytes = _address_space()
    try:
        with _mapped(message) as data, _limited(before_bytes + job["memory_bytes"] + len(data), job["cpu_seconds"]):
            spec = RenditionSpec.parse_canonical(job["spec"]) if job["kind"] == "render" else None
            header = read_header(data)
            if spec is None:
                limits.check(header)
            cost = cost_of(header, len(data), spec)
            if cost.heavy and not job["heavy"]:
                return {"needs": cost.memory_bytes}, []
            largest_bytes = _LARGEST_ALLOCATION * header.largest_pixels
            if job["heavy"]:
                os.nice(_NICE)  # for good: the broker lets this process go afterwards
            if spec is None:
                return {"picture": asdict(inspect(data, limits))}, []
            began = time.process_time()
            made = render(data, spec)
            facts = {
                "content_type": made.content_type,
                "width": made.width,
                "height": made.height,
                "processor_seconds": round(time.process_time() - began, 6),
            }
            return {"rendition": facts}, [memory_file(made.data)]
    except MemoryError:
        return {"failed": "memory", "enough": False}, []
    except BrokenImage as error:
        enough = _peak() - before_bytes + largest_bytes <= job["memory_bytes"]
        return {"failed": str(error), "enough": enough}, []
    except ElasticImagesError as error:
        return {"error": error.slug, "message": str(error)}, []
    except Exception as error:  # noqa: BLE001 - whatever it is, the broker has to learn of it
        return {"error": "internal-error", "message": f"Imaging failed: {error!r}"}, []


@contextlib.contextmanager
def _mapped(message: Message) -> Iterator[mmap.mmap]:
    try:
        found = mmap.mmap(message.descriptors[0], 0, access=mmap.ACCESS_READ)
    finally:
        message.close()
    with found:
        yield found


@contextlib.contextmanager
def _limited(memory_bytes: int, cpu_seconds: int) -> Iterator[None]:
    """Bound the address space of this process in the block, and the processor time that it takes."""
    used = math.ceil(time.process_time())
    resource.setrlimit(resource.RLIMIT_CPU, (used + cpu_seconds, resource.RLIM_INFINITY))
    _limit_address_space(memory_bytes)
    try:
        yield
    finally:
        _limit_address_space(resource.RLIM_INFINITY)


def _limit_address_space(memory_bytes: int) -> None:
    with contextlib.suppress(ValueError, OSError):  # macOS refuses
        resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, resource.RLIM_INFINITY))


def _address_space() -> int:
    try:
        with open("/proc/self/statm", "rb") as file:  # noqa: PTH123 - quicker than a Path
            return int(file.read().split()[0]) * mmap.PAGESIZE
    except OSError:
        return _UNKNOWN_BYTES


def _peak() -> int:
    """The most that the address space of this process ever was."""
    try:
        found = re.search(rb"VmPeak:\s+(\d+) kB", Path("/proc/self/status").read_bytes())
    except OSError:
        return _UNKNOWN_BYTES
    return int(found[1]) * 1024 if found else _UNKNOWN_BYTES
