"""The groups of scenarios: how each is measured."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import psutil

from benchmarks.lib import targets
from benchmarks.lib.bench import Bench, Result
from benchmarks.lib.figures import Measurement, median_rate
from benchmarks.lib.meter import Cell, measure, measure_rounds
from benchmarks.lib.peers import seaweedfs_bucket
from benchmarks.lib.plain_files import write_files
from benchmarks.lib.scenarios import Scenario
from benchmarks.lib.targets import Target, path_of
from benchmarks.lib.wrk import Load, LoadFailed, run
from elastic_images.core.signed_links import signed_query

_WARM_UP = 2
_CALLERS = 1000
_SMALL_ANSWER_BYTES = 2_000


def reads(bench: Bench, scenarios: Sequence[Scenario]) -> Iterator[Result]:
    """Images from memory, at every target."""
    for scenario in scenarios:
        cells = {name: _read(bench, scenario, target) for name, target in bench.targets.items()}
        yield _measured(bench, scenario, cells)


def not_modified(bench: Bench, scenarios: Sequence[Scenario]) -> Iterator[Result]:
    """Requests from clients that already have the image. Targets without ETags are left out."""
    for scenario in scenarios:
        cells = {}
        for name, target in bench.targets.items():
            path = bench.asked(scenario, target)[0]
            etag = target.etag(path)
            if etag is not None:
                script = bench.scripts.one({**target.headers, "If-None-Match": etag})
                cells[name] = _checked(target, path, script, scenario.connections, _is_empty)
        if cells:
            yield _measured(bench, scenario, cells)


def private(bench: Bench, scenarios: Sequence[Scenario]) -> Iterator[Result]:
    """The same bytes from web as a public image, and as a private one to those who may see it."""
    web, system = bench.targets.get(targets.WEB), bench.system
    if web is None or system is None or not scenarios:
        return
    callers = system.callers(_CALLERS)
    for scenario in scenarios:
        body = bench.bodies[scenario.size][0]
        shown = path_of(system.upload(f"private/{scenario.size}/shown", body, "public"))
        key = system.upload(f"private/{scenario.size}/hidden", body, "private")
        hidden = path_of(key)
        link = f"{hidden}?{signed_query(callers.link_secret, callers.link_id, key, {}, int(time.time()) + 86_400)}"
        scripts = {
            targets.PUBLIC: (shown, bench.scripts.one({})),
            targets.TOKEN: (hidden, bench.scripts.one({"Authorization": callers.tokens[0]})),
            targets.SESSION: (hidden, bench.scripts.one({"Cookie": callers.session})),
            targets.LINK: (link, bench.scripts.one({})),
            targets.TOKENS: (hidden, bench.scripts.callers("Authorization", callers.tokens)),
        }
        cells = {name: _by_callers(web, scenario, *asked) for name, asked in scripts.items()}
        yield _measured(bench, scenario, cells)


def uploads(bench: Bench, scenarios: Sequence[Scenario]) -> Iterator[Result]:
    """New images through web, compared with SeaweedFS, and with writing and flushing the same files."""
    web, system = bench.targets.get(targets.WEB), bench.system
    if web is None or system is None or not scenarios:
        return
    numbers = itertools.count()
    with seaweedfs_bucket(bench.folder) as (bucket, path):
        for scenario in scenarios:
            put = _uploader(bench, web.url, "/api/images/uploads/", scenario, system.upload_headers(), numbers)
            put_object = _uploader(bench, bucket.url, path, scenario, {}, numbers)
            cells = {
                targets.WEB: Cell(put, web.processes),
                targets.SEAWEEDFS: Cell(put_object, bucket.processes),
                targets.PLAIN: Cell(_writer(bench, scenario, numbers), lambda: [psutil.Process()]),
            }
            yield _measured(bench, scenario, cells)


def pool_sizes(bench: Bench, scenarios: Sequence[Scenario]) -> Iterator[Result]:
    """The same reads through web with different pool sizes in turn, on one system."""
    web, system, options = bench.targets.get(targets.WEB), bench.system, bench.options
    if web is None or system is None or not scenarios:
        return
    cells = {scenario: _read(bench, scenario, web) for scenario in scenarios}
    walks = [bench.scripts.in_turn([path_of(key) for key in bench.keys(one)], {}) for one in _one_a_size(scenarios)]
    measured: dict[Scenario, dict[str, list[Measurement]]] = {scenario: {} for scenario in scenarios}
    for _, nodes in itertools.product(range(options.rounds), options.nodes):
        bench.say(f"a pool of {nodes}")
        system.scale(nodes)
        system.prime(lambda seconds: [run(web.url, walk, connections=16, seconds=seconds) for walk in walks])
        for scenario, cell in cells.items():
            cell.load(_WARM_UP)
            measured[scenario].setdefault(pool_name(nodes), []).append(measure(cell, options.seconds))
    system.scale(options.nodes[0])
    for scenario, rounds in measured.items():
        yield _said(bench, Result(scenario, rounds))


def misses(bench: Bench, scenarios: Sequence[Scenario]) -> Iterator[Result]:
    """Reads of uncached images; the baseline is nginx, which reads the same files from the page cache."""
    if bench.system is None or not scenarios:
        return
    chosen = {
        name: target for name, target in bench.targets.items() if name in (targets.WEB, targets.NODE, targets.NGINX)
    }
    with bench.system.missing():
        for scenario in scenarios:
            yield _measured(bench, scenario, {name: _read(bench, scenario, one) for name, one in chosen.items()})


Group = Callable[[Bench, Sequence[Scenario]], Iterator[Result]]
GROUPS: Mapping[str, Group] = {
    "read": reads, "304": not_modified, "private": private, "upload": uploads, "nodes": pool_sizes, "miss": misses,
}  # fmt: skip


def pool_name(nodes: int) -> str:
    """The name of that pool size among the targets of the group `nodes`."""
    return f"{nodes} node" if nodes == 1 else f"{nodes} nodes"


def _read(bench: Bench, scenario: Scenario, target: Target) -> Cell:
    paths = bench.asked(scenario, target)
    if not paths:
        raise LoadFailed(f"{target.name} holds no key of {scenario.name}")
    one = len(paths) == 1
    script = bench.scripts.one(target.headers) if one else bench.scripts.in_turn(paths, target.headers)
    return _checked(target, paths[0], script, scenario.connections, lambda size: size >= 0.9 * scenario.size_bytes)


def _by_callers(web: Target, scenario: Scenario, path: str, script: Path) -> Cell:
    cell = _checked(web, path, script, scenario.connections, lambda size: size >= 0.9 * scenario.size_bytes)
    # The callers have been asking for a while: web forgets those who have not within two seconds.
    return cell._replace(prepare=lambda: cell.load(_WARM_UP))


def _uploader(
    bench: Bench, url: str, path: str, scenario: Scenario, headers: Mapping[str, str], numbers: Iterator[int]
) -> Callable[[int], Load]:
    def put(seconds: int) -> Load:
        script = bench.scripts.uploads(f"{path}{next(numbers)}/", bench.body_files(scenario.size), headers)
        return run(url, script, connections=scenario.connections, seconds=seconds)

    return put


def _writer(bench: Bench, scenario: Scenario, numbers: Iterator[int]) -> Callable[[int], Load]:
    def write(seconds: int) -> Load:
        folder = bench.folder / "plain" / str(next(numbers))
        return write_files(folder, bench.bodies[scenario.size], threads=scenario.connections, seconds=seconds)

    return write


def _checked(target: Target, path: str, script: Path, connections: int, right: Callable[[float], bool]) -> Cell:
    """A cell that fails if the answers have the wrong size."""

    def load(seconds: int) -> Load:
        done = run(target.url + path, script, connections=connections, seconds=seconds)
        if done.errors == 0 and done.requests and not right(done.bytes_per_answer):
            raise LoadFailed(f"{target.name}{path} answers with {done.bytes_per_answer:.0f} bytes on the average")
        return done

    return Cell(load, target.processes)


def _is_empty(size: float) -> bool:
    return size < _SMALL_ANSWER_BYTES


def _measured(bench: Bench, scenario: Scenario, cells: Mapping[str, Cell]) -> Result:
    options = bench.options
    warm_up = 1 if options.quick else _WARM_UP
    rounds = measure_rounds(cells, rounds=options.rounds, seconds=options.seconds, warm_up_seconds=warm_up)
    return _said(bench, Result(scenario, rounds))


def _said(bench: Bench, result: Result) -> Result:
    rates = ", ".join(f"{name} {median_rate(measured):,.0f}" for name, measured in result.rounds.items())
    bench.say(f"{result.scenario.name}: {rates}")
    return result


def _one_a_size(scenarios: Sequence[Scenario]) -> list[Scenario]:
    return list({scenario.size: scenario for scenario in scenarios}.values())
