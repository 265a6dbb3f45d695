"""How fast renditions are made: this system beside a bare loop over Pillow, thumbor, and ipx with sharp.

    python -m benchmarks.renditions [--rounds 3] [--peers FOLDER] [--json FILE]

60 distinct JPEGs of 2040 x 1356 to 512 inside, 4 connections, first requests, in turn in each round. Then a cached
rendition beside a cached original of its size, and a storm of 200 clients for one new rendition.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import io
import json
import statistics
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import psutil
from PIL import Image, ImageEnhance
from testing.photographs import SOURCES, data_folder
from testing.system import System, running
from testing.waiting import wait_for

from benchmarks.lib import wrk
from benchmarks.lib.facts import facts, in_one_line
from benchmarks.lib.processes import StartFailed, with_children
from benchmarks.lib.renditions_made import renditions_made
from benchmarks.lib.scripts import Scripts
from benchmarks.lib.stopping import in_order
from benchmarks.rendition_speed.peers import QUALITIES, SIDE, PillowLoop, Server, ipx, thumbor

_COUNT, _SIZE = 60, (2040, 1356)
_CONNECTIONS, _HOT_CONNECTIONS, _HOT_SECONDS, _STORM = 4, 16, 4, 200
_NODES = 2
_Run = Callable[[Sequence[Path], str], float]
OURS, LOOP = "this system", "Pillow loop"


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3, help="how often each is measured")
    parser.add_argument("--images", type=int, default=_COUNT, help="how many images")
    parser.add_argument("--peers", type=Path, help="where thumbor and ipx are installed, and kept for the next run")
    parser.add_argument("--json", type=Path, help="where to write the figures")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="renditions-") as name:
        folder = Path(name)
        known = facts(folder)
        figures = _measure(folder, options.peers or folder / "peers", options.rounds, options.images)
    verdicts = _show(figures)
    print(f"\n{in_one_line(known)}; load {known['load_before']} before")
    if options.json:
        options.json.write_text(json.dumps({"facts": known, **figures, "verdicts": verdicts}, indent=2))
    return 0 if all(reached for _, _, reached in verdicts) else 1


def _measure(folder: Path, peers: Path, rounds: int, count: int) -> dict[str, Any]:
    peers.mkdir(parents=True, exist_ok=True)
    files = _make_files(folder / "files", count)
    with contextlib.ExitStack() as stack:
        system = stack.enter_context(running(folder / "system", nodes=_NODES))
        for file in files:
            assert system.admin().put(file.name, file.read_bytes()).status == 201
        supervisor = system.process
        assert supervisor is not None
        ours = partial(with_children, psutil.Process(supervisor.pid))  # workers have no environment to be found by
        servers = [Server(OURS, system.port("web"), _our_path, ours)]
        for peer in (thumbor, ipx):
            try:
                servers.append(stack.enter_context(peer(peers, folder / "files")))
            except (OSError, StartFailed, RuntimeError) as error:
                print(f"{peer.__name__} is left out: {error}", file=sys.stderr)
        loop = PillowLoop()
        stack.callback(loop.close)
        return {
            "first": _first_requests(system, servers, loop, files, rounds),
            "cached": _cached(system, folder, files[0].name, rounds),
            "storm": _storm(system, files[0].name),
        }


def _make_files(folder: Path, count: int) -> list[Path]:
    folder.mkdir()
    made = []
    for number in range(count):
        with Image.open(data_folder() / SOURCES[number % len(SOURCES)]) as opened:
            image = opened.convert("RGB").rotate(90 * (number // len(SOURCES)), expand=True)
        crop = image.crop((number % 5, number % 7, image.width, image.height)).resize(_SIZE, Image.Resampling.BICUBIC)
        made.append(folder / f"{number:03d}.jpg")
        ImageEnhance.Sharpness(crop).enhance(2.0).save(made[-1], "JPEG", quality=88)
    return made


def _our_path(name: str, kind: str) -> str:
    return f"/images/{name}?w={SIDE}&h={SIDE}&format={kind}"


def _first_requests(
    system: System, servers: Sequence[Server], loop: PillowLoop, files: Sequence[Path], rounds: int
) -> dict[str, Any]:
    """Renditions a second, and milliseconds of processor for each, by format and name; a figure for each round."""
    found: dict[str, Any] = {
        kind: {"rates": defaultdict(list), "processor_ms": defaultdict(list)} for kind in QUALITIES
    }
    runs: list[tuple[str, _Run, Callable[[], Iterable[psutil.Process]], Sequence[str]]] = [
        (LOOP, loop.run, loop.processes, tuple(QUALITIES)),
        *((server.name, partial(_ask, server), server.processes, server.formats) for server in servers),
    ]
    for _, run, _, kinds in runs:  # whatever is loaded by the first request
        for kind in kinds:
            run(files[:_CONNECTIONS], kind)
    for number in range(rounds):
        for kind, figures in found.items():
            turn = number % len(runs)
            for name, run, processes, kinds in runs[turn:] + runs[:turn]:
                if kind not in kinds:
                    continue
                if name == OURS:
                    system.autoscaler().clear()
                before = _processor_seconds(processes())
                figures["rates"][name].append(round(len(files) / run(files, kind), 1))
                spent = _processor_seconds(processes()) - before
                figures["processor_ms"][name].append(round(spent * 1000 / len(files), 1))
            print(f"round {number + 1}: {kind} {dict(figures['rates'])}", file=sys.stderr, flush=True)
    return found


def _processor_seconds(processes: Iterable[psutil.Process]) -> float:
    """With that of children which have ended: a worker of ours ends after its rendition."""
    total = 0.0
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            total += sum(process.cpu_times()[:4])
    return total


def _ask(server: Server, files: Sequence[Path], kind: str) -> float:
    """How many seconds it takes to answer a rendition of each file."""
    names, lock = iter([file.name for file in files]), threading.Lock()

    def work() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=120)
        while True:
            with lock:
                name = next(names, None)
            if name is None:
                break
            connection.request("GET", server.path(name, kind))
            answer = connection.getresponse()
            body = answer.read()
            if answer.status != 200 or answer.headers["Content-Type"] != f"image/{kind}":
                raise OSError(f"{server.name}: {name} as {kind}: {answer.status} {body[:200]!r}")
            with Image.open(io.BytesIO(body)) as image:
                assert max(image.size) == SIDE, (server.name, image.size)
        connection.close()

    began = time.monotonic()
    with ThreadPoolExecutor(_CONNECTIONS) as threads:
        for worker in [threads.submit(work) for _ in range(_CONNECTIONS)]:
            worker.result()
    return time.monotonic() - began


def _cached(system: System, folder: Path, name: str, rounds: int) -> dict[str, list[float]]:
    """Answers a second: a rendition, and an original with the same bytes."""
    path = _our_path(name, "webp")
    body = system.client().request("GET", path).body
    assert system.admin().put("as-large", body).status == 201
    script = Scripts(folder).one({})
    rates: dict[str, list[float]] = {"rendition": [], "original": []}
    for number in range(2 * rounds):
        for what, asked in (("rendition", path), ("original", "/images/as-large"))[:: 1 if number % 2 else -1]:
            wait_for(lambda asked=asked: system.client().request("GET", asked).cache == "HIT-NEAR", "it is near")  # type: ignore[misc]
            url = f"{system.url()}{asked}"
            found = wrk.run(url, script, connections=_HOT_CONNECTIONS, seconds=_HOT_SECONDS)
            assert not found.errors
            rates[what].append(round(found.requests_per_second))
    return rates


def _storm(system: System, name: str) -> dict[str, int]:
    """How often one new rendition is made for many clients at once, and how many different answers they get."""
    before, barrier = _made(system), threading.Barrier(_STORM)

    def one(_number: int) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", system.port("web"), timeout=120)
        connection.connect()
        barrier.wait()
        connection.request("GET", f"/images/{name}?w=1600&format=avif")
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
        return answer.status, body

    with ThreadPoolExecutor(_STORM) as threads:
        answers = set(threads.map(one, range(_STORM)))
    return {
        "made": _made(system) - before,
        "answers": len(answers),
        "failed": sum(status != 200 for status, _ in answers),
    }


def _made(system: System) -> int:
    return sum(renditions_made(system.port("memcache") + slot) for slot in range(_NODES))


def _show(figures: dict[str, Any]) -> list[tuple[str, float, bool]]:
    first, cached, storm = figures["first"], figures["cached"], figures["storm"]
    names = list(first["jpeg"]["rates"])
    for what, title in (("rates", "renditions a second"), ("processor_ms", "processor time of one, ms")):
        print(f"| {title} | {' | '.join(names)} |\n| --- |{' ---: |' * len(names)}")
        for kind, rates in first.items():
            print(f"| {kind} | {' | '.join(_shown(rates[what].get(name)) for name in names)} |")
        print()
    goals = [("jpeg", LOOP, 0.75), ("webp", LOOP, 0.85)]
    if "thumbor" in names:
        goals += [("jpeg", "thumbor", 1.0), ("webp", "thumbor", 1.0), ("avif", "thumbor", 3.0)]
    verdicts = [
        (f"{kind} / {other}, at least {least}", found, found >= least)
        for kind, other, least in goals
        for found in [_ratio(first[kind]["rates"][OURS], first[kind]["rates"][other])]
    ]
    found = _ratio(cached["rendition"], cached["original"])
    verdicts.append(("cached rendition / original, at least 0.9", found, found >= 0.9))
    once = storm == {"made": 1, "answers": 1, "failed": 0}
    verdicts.append((f"made for {_STORM} clients at once, 1", storm["made"], once))
    print("| | | |\n| --- | ---: | --- |")
    for what, value, reached in verdicts:
        print(f"| {what} | {value:.2f} | {'reached' if reached else 'missed'} |")
    return verdicts


def _shown(figures: Sequence[float] | None) -> str:
    return f"{statistics.median(figures):.1f}" if figures else ""


def _ratio(over: Sequence[float], under: Sequence[float]) -> float:
    """The median of the rounds' ratios."""
    return statistics.median(a / b for a, b in zip(over, under, strict=True))


if __name__ == "__main__":
    sys.exit(in_order(lambda: main(sys.argv[1:])))
