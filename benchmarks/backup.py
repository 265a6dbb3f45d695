"""A backup while writes go on: is it of one moment, how long does it take, and does it survive being killed?

    python -m benchmarks.backup [--images 20000] [--changes 100] [--kills 20] [--seed 1] [--json FILE]

Everything is compared by the SHA-256 of the bytes that were restored.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any

from PIL import Image
from sqlalchemy import select
from testing.background import beside
from testing.client import Client
from testing.system import COMMAND, environment, running

from benchmarks.lib.facts import facts
from benchmarks.lib.histories import History, Operation, moment_of
from benchmarks.lib.stopping import in_order
from elastic_images.database.engine import open_engine
from elastic_images.storage.catalog.tables import images
from elastic_images.storage.objects.from_url import open_object_store

SECOND_SHARE = 0.1
"""What part of the first backup's time the second may take."""
_WRITERS = 4
_NEW, _DELETED = 0.3, 0.2
"""How many of the writes are of new keys, and deletions; the others replace."""


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=20_000, help="how many images there are at the start")
    parser.add_argument("--changes", type=int, default=100, help="how many are changed before the second backup")
    parser.add_argument("--kills", type=int, default=20, help="how often a backup, and a restore, is killed")
    parser.add_argument("--seed", type=int, default=1, help="chooses the writes and the moments of the kills")
    parser.add_argument("--json", type=Path, help="where to write the figures")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="backup-") as name:
        figures = {"facts": facts(Path(name)), **Trial(Path(name), options).run()}
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2))
    return 0 if figures["reached"] else 1


class Trial:
    """One run, in a folder of its own."""

    def __init__(self, folder: Path, options: argparse.Namespace) -> None:
        self._folder = folder
        self._options = options
        self._random = random.Random(options.seed)
        self._histories: list[History] = []
        self._processor = 0.0
        """Seconds of a processor that the last command took; they depend less on what else the machine does."""

    def run(self) -> dict[str, Any]:
        """Do everything, and print each figure once it is known."""
        figures: dict[str, Any] = {}

        def tell(**found: Any) -> None:
            figures.update(found)
            for name, value in found.items():
                shown = f"{value:.2f}" if isinstance(value, float) else value
                print(f"| {name.replace('_', ' ')} | {shown} |", flush=True)

        print("| | |\n| --- | ---: |")
        with running(self._folder, nodes=1) as system:
            self._environ = environment({"data": system.data, "port_offset": system.offset})
            tell(images=self._options.images, filled_seconds=self._fill(system.admin()))
            first, seconds, during = self._back_up_while_writing(system.admin())
            writes = sum(len(history.operations) for history in self._histories)
            tell(first_seconds=seconds, of_a_processor=self._processor, writes_meanwhile=writes, copied=first["copied"])
            self._command("backup", "create", self._dest)
            self._write(system.admin(), 0, self._options.changes)
            second, seconds = self._command("backup", "create", self._dest)
            tell(second_seconds=seconds, second_of_a_processor=self._processor, copied_by_the_second=second["copied"])
            # Each gets on a little, so that the kills come at all stages of the work.
            longest = seconds + 2 * figures["first_seconds"] / max(1, self._options.kills)
            tell(**self._kill_backups(longest))
        restored, tries = self._restore(self._dest, first["set"]["id"], "first", self._options.kills, longest)
        moment = moment_of(self._histories, [self._mine(restored, number) for number in range(_WRITERS)])
        good = moment is not None and moment[0] <= during[1] and moment[1] >= during[0]
        tell(restores_killed=tries, first_set_is_of_one_moment=good)
        now = {key: digest for history in self._histories for key, digest in history.state().items()}
        tell(second_set_is_right=self._restore(self._dest, second["set"]["id"], "second")[0] == now)
        tell(set_after_kills_is_right=self._restore(self._other_dest, None, "killed")[0] == now)
        tell(restored_system_serves=self._serves(self._folder / "killed", now))
        tell(share=figures["second_seconds"] / figures["first_seconds"])
        right = [value for value in figures.values() if isinstance(value, bool)]
        tell(reached=all(right) and figures["share"] < SECOND_SHARE)
        return figures

    # --- writing

    def _fill(self, client: Client) -> float:
        keys: list[list[str]] = [[] for _ in range(_WRITERS)]
        for number in range(self._options.images):
            keys[number % _WRITERS].append(f"{number % _WRITERS}/{number:06}")
        began = time.monotonic()
        with ThreadPoolExecutor(_WRITERS) as pool:
            self._histories = [History(dict(state)) for state in pool.map(partial(_put_all, client), keys)]
        return time.monotonic() - began

    def _back_up_while_writing(self, client: Client) -> tuple[dict[str, Any], float, tuple[float, float]]:
        stop = threading.Event()
        works = [partial(self._write, client, number, None, stop) for number in range(_WRITERS)]
        with beside(stop, *works):
            began = time.monotonic()
            made, seconds = self._command("backup", "create", self._dest)
            return made, seconds, (began, began + seconds)

    def _write(self, client: Client, number: int, count: int | None, stop: threading.Event | None = None) -> None:
        """Write as one of the writers, `count` times or until `stop`."""
        history, chance = self._histories[number], random.Random(f"{self._options.seed}/{number}/{count}")
        state = history.state()
        keys = list(state)
        done = 0
        while done != count and not (stop and stop.is_set()):
            what, began = chance.random(), time.monotonic()
            key, digest = chance.choice(keys), None
            if what < _DELETED and key in state:
                _expect(client.delete(key).status, 204)
                del state[key]
            else:
                if what > 1 - _NEW:
                    key = f"{number}/new/{len(keys)}"
                    keys.append(key)
                digest = state[key] = _put(client, key)
            history.operations.append(Operation(key, digest, began, time.monotonic()))
            done += 1

    # --- commands

    @property
    def _dest(self) -> str:
        return str(self._folder / "backups")

    @property
    def _other_dest(self) -> str:
        return str(self._folder / "backups-2")

    def _command(self, *words: str, environ: Mapping[str, str] | None = None) -> tuple[Any, float]:
        """What a command prints as JSON, and how long it took."""
        began, before = time.monotonic(), os.times()
        done = subprocess.run(
            [COMMAND, *words, "--json"], env=environ or self._environ, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise SystemExit(f"elastic-images {' '.join(words)} failed ({done.returncode}): {done.stderr}")
        after = os.times()
        self._processor = sum(after[2:4]) - sum(before[2:4])  # of children
        return json.loads(done.stdout), time.monotonic() - began

    def _kill(self, longest: float, *words: str, environ: Mapping[str, str]) -> bool:
        """Kill a command at a random moment. False if it ended before."""
        command = subprocess.Popen([COMMAND, *words], env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        with contextlib.suppress(subprocess.TimeoutExpired):
            command.wait(self._random.uniform(0.0, longest))
        command.kill()
        return command.wait() < 0

    def _kill_backups(self, longest: float) -> dict[str, Any]:
        """Kill backups into another destination, each continued by the next; then let one end, and verify all."""
        words = ("backup", "create", self._other_dest)
        killed = tries = 0
        while killed < self._options.kills and tries < 3 * self._options.kills:
            tries += 1
            killed += self._kill(longest, *words, environ=self._environ)
        made, _ = self._command(*words)
        sets, _ = self._command("backup", "ls", self._other_dest)
        found = [self._command("backup", "verify", self._other_dest, "--set", one["id"])[0]["whole"] for one in sets]
        return {"backups_killed": killed, "copied_before": made["present"], "sets_are_whole": all(found)}

    def _restore(
        self, dest: str, set_id: str | None, name: str, kills: int = 0, longest: float = 0.0
    ) -> tuple[dict[str, str], int]:
        """Restore into a new folder, after so many tries that are killed. Gives the digests of the bytes there."""
        data = self._folder / name / "data"
        words = ("restore", dest, *(("--set", set_id) if set_id else ()))
        environ = environment({"data": data})
        killed = 0
        for _ in range(kills):
            if not self._kill(longest, *words, environ=environ):
                return self._digests(data), killed
            killed += 1
        self._command(*words, environ=environ)
        return self._digests(data), killed

    # --- comparing

    def _digests(self, data: Path) -> dict[str, str]:
        engine, store = (
            open_engine(f"sqlite:///{data / 'elastic-images.db'}"),
            open_object_store(f"file://{data}/objects"),
        )
        try:
            with engine.connect() as connection:
                rows = connection.execute(select(images.c.key, images.c.object_name)).all()
        finally:
            engine.dispose()
        found = {}
        for key, name in rows:
            with store.open(name) as stored:
                found[key] = hashlib.sha256(b"".join(iter(lambda: stored.read(65536), b""))).hexdigest()
        return found

    @staticmethod
    def _mine(found: Mapping[str, str], number: int) -> dict[str, str]:
        return {key: digest for key, digest in found.items() if key.startswith(f"{number}/")}

    def _serves(self, folder: Path, expected: Mapping[str, str]) -> bool:
        """Whether a system on the restored folder lists and serves these images."""
        with running(folder, nodes=1) as system:
            client = system.admin()
            listed = {image["key"] for image in client.list(limit=1000)}
            some = self._random.sample(sorted(expected), min(200, len(expected)))
            served = all(hashlib.sha256(client.get(key).body).hexdigest() == expected[key] for key in some)
            return served and listed == set(expected)


def _put_all(client: Client, keys: list[str]) -> list[tuple[str, str]]:
    return [(key, _put(client, key)) for key in keys]


def _put(client: Client, key: str) -> str:
    """Upload a new small image. Gives its digest."""
    image = BytesIO()
    Image.frombytes("RGB", (16, 16), random.randbytes(768)).save(image, "PNG")
    _expect(client.put(key, image.getvalue()).status, 200, 201)
    return hashlib.sha256(image.getvalue()).hexdigest()


def _expect(status: int, *good: int) -> None:
    if status not in good:
        raise SystemExit(f"a write was answered {status}")


if __name__ == "__main__":
    sys.exit(in_order(lambda: main(sys.argv[1:])))
