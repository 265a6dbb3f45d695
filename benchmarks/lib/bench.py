"""One run: what is measured, its images, its scripts."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

from benchmarks.lib import draws, memcached, peers, targets
from benchmarks.lib.figures import Rounds
from benchmarks.lib.images import jpegs
from benchmarks.lib.measured_system import MeasuredSystem, whole_system
from benchmarks.lib.options import Options
from benchmarks.lib.processes import pss_bytes
from benchmarks.lib.scenarios import SIZES, Scenario
from benchmarks.lib.scripts import Scripts
from benchmarks.lib.targets import Target, path_of
from benchmarks.lib.wrk import run

_IMAGES_OF_A_SIZE = 16
_SEED = 20_240_601
Say = Callable[[str], None]


class Result(NamedTuple):
    """A scenario with what was measured."""

    scenario: Scenario
    rounds: Rounds


@dataclass(frozen=True, slots=True)
class Bench:
    """Everything that runs, and its load."""

    options: Options
    folder: Path
    scripts: Scripts
    targets: Mapping[str, Target]
    system: MeasuredSystem | None
    bodies: Mapping[str, list[bytes]]
    """Images by the label of their size."""
    say: Say
    memory: dict[str, Any] = field(default_factory=dict)

    def keys(self, scenario: Scenario) -> list[str]:
        """The keys of the scenario's working set, hottest first."""
        return draws.keys_for(scenario.size, self.options.keys_of(scenario))

    def asked(self, scenario: Scenario, target: Target) -> list[str]:
        """The paths to request, in order; the same for all targets that hold all keys."""
        keys = self.keys(scenario)
        if target.name == targets.NODE and self.system is not None:
            keys = self.system.owned_by_first_node(keys)
        random = Random(_SEED)
        drawn = {
            "hot": lambda: keys[:1],
            "64": lambda: draws.uniform(keys[:64], draws.DRAWS, random),
            "zipf": lambda: draws.zipf(keys, draws.DRAWS, random),
            "walk": lambda: keys,
        }[scenario.keys]()
        return [path_of(key) for key in drawn]

    def body_files(self, size: str) -> list[Path]:
        """The images of a size, as files."""
        folder = self.folder / "bodies" / size
        if not folder.exists():
            folder.mkdir(parents=True)
            for number, body in enumerate(self.bodies[size]):
                (folder / f"{number}.jpg").write_bytes(body)
        return sorted(folder.iterdir())


@contextlib.contextmanager
def bench(options: Options, folder: Path, say: Say) -> Iterator[Bench]:
    """Start the targets and fill them with images; stop everything at the end of the block."""
    with contextlib.ExitStack() as stack:
        needed = {scenario.size: scenario for scenario in options.scenarios}
        bodies = {size: jpegs(SIZES[size], _IMAGES_OF_A_SIZE) for size in needed}
        images = {
            key: bodies[size][number % _IMAGES_OF_A_SIZE]
            for size, scenario in needed.items()
            for number, key in enumerate(draws.keys_for(size, options.keys_of(scenario)))
        }
        memory: dict[str, Any] = {}
        running = {target.name: target for target in _peers(stack, options, folder, images, say)}
        system = None
        if {targets.WEB, targets.NODE} & set(options.targets):
            say("starting the system")
            system = stack.enter_context(whole_system(folder / "system", options))
            memory["idle_mb"] = system.pss_mb()
            running |= {target.name: target for target in (system.web(), system.node())}
        scripts_folder = folder / "scripts"
        scripts_folder.mkdir(mode=0o700)
        chosen = {name: running[name] for name in options.targets}
        made = Bench(options, folder, Scripts(scripts_folder), chosen, system, bodies, say, memory)
        if system is not None:
            _fill(made, system, needed)
        memory["peers_mb"] = {
            name: round(pss_bytes(target.processes()) / 1e6, 1)
            for name, target in chosen.items()
            if name not in (targets.WEB, targets.NODE)
        }
        yield made


def _peers(
    stack: contextlib.ExitStack, options: Options, folder: Path, images: Mapping[str, bytes], say: Say
) -> Iterator[Target]:
    root = folder / "static"
    wanted = set(options.targets)
    say(f"writing {len(images)} images for the peers")
    for key, body in images.items():
        path = root / "images" / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body)
    if targets.NGINX in wanted:
        yield stack.enter_context(peers.nginx_static(folder / "nginx", root))
    if targets.MEMCACHED in wanted:
        megabytes = 2 * sum(map(len, images.values())) // 1_000_000 + 64
        target, port = stack.enter_context(peers.nginx_memcached(folder / "memcached", megabytes))
        memcached.store(port, ((path_of(key), body) for key, body in images.items()))
        yield target
    if targets.FLASK in wanted:
        yield stack.enter_context(peers.flask_view(folder / "flask", root))


def _fill(made: Bench, system: MeasuredSystem, needed: Mapping[str, Scenario]) -> None:
    """Upload the working sets and load them into the nodes."""
    web = system.web()
    began = time.monotonic()
    for size, scenario in needed.items():
        keys = made.keys(scenario)
        made.say(f"uploading {len(keys)} images of {size}")
        rate = system.seed(keys, made.bodies[size])
        made.say(f"  {rate:.0f} a second")
        made.memory.setdefault("seeded_bytes", 0)
        made.memory["seeded_bytes"] += sum(len(made.bodies[size][n % _IMAGES_OF_A_SIZE]) for n in range(len(keys)))
        script = made.scripts.in_turn([path_of(key) for key in keys], {})
        system.prime(lambda seconds, script=script: run(web.url, script, connections=16, seconds=seconds))  # type: ignore[misc]
    made.memory["filled_mb"] = system.pss_mb()
    made.memory["cached_bytes"] = system.cached_bytes()
    made.say(f"filled after {time.monotonic() - began:.0f} s")
