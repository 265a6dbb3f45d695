"""150 photographs imported, exported, and imported into an empty system; interrupted and gone on with."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from testing.client import Client
from testing.photographs import Photograph, photographs
from testing.system import COMMAND, System, environment
from testing.waiting import wait_for
from tests.system.conftest import StartSystem

from elastic_images.core.image_facts import DETAILS

PLACE = ("partition", "node", "url", "immutable_url")
MANIFEST = "elastic-images-manifest.jsonl"
ODD_KEYS = ("a", "a/b", "A", "con", "dot.", "space ", "ü/图 😀.png", "x" * 255, "a\\b:c*?", ".hidden/..x")


COUNT = 150
"""Enough for a command to be interrupted half way; tests/system/test_five_hundred.py has more."""


@pytest.fixture(scope="module")
def many() -> tuple[Photograph, ...]:
    return photographs(COUNT)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, many: tuple[Photograph, ...]) -> Path:
    """The photographs as files, in folders, beside what is none."""
    folder = tmp_path_factory.mktemp("photographs")
    for photograph in many:
        file = folder / photograph.name
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(photograph.body)
    (folder / "notes.txt").write_text("no image")
    (folder / ".DS_Store").write_bytes(bytes(100))
    return folder


def facts_of(client: Client) -> dict[str, dict[str, Any]]:
    """All that is known of every image but where in this pool it is."""
    listed = client.list(limit=1000)
    return {image["key"]: {name: value for name, value in image.items() if name not in PLACE} for image in listed}


def bytes_of(client: Client, keys: Sequence[str]) -> dict[str, bytes]:
    with ThreadPoolExecutor(8) as threads:
        return dict(zip(keys, threads.map(lambda key: client.get(key).body, keys), strict=True))


def interrupt(system: System, *words: str, when: Any) -> None:
    """Run a command until `when` is true, and kill it."""
    known = {"data": system.data, "port_offset": system.offset}
    process = subprocess.Popen([str(COMMAND), *words], env=environment(known), stdout=subprocess.DEVNULL)
    try:
        wait_for(when, f"{words[0]} is half way")
        assert process.poll() is None, "it ended before it could be interrupted"
    finally:
        process.kill()
        process.wait(60)


def test_there_and_back_byte_for_byte_and_fact_for_fact(
    start_system: StartSystem, folder: Path, many: tuple[Photograph, ...], tmp_path: Path
) -> None:
    first, export = start_system(nodes=1), tmp_path / "export"
    admin = first.admin()
    import_half_way(first, folder)
    told = first.cli_json("import", str(folder))
    assert told["imported"] + told["same"] == COUNT
    assert told["imported"] > 0
    assert told["same"] > 0
    assert told["not_images"] == ["notes.txt"]
    assert told["failed"] == told["conflicts"] == []
    make_history(first, many)
    before = facts_of(admin)
    assert len(before) == COUNT + len(ODD_KEYS)
    assert {image["owner"] for image in before.values()} == {"admin", "ann", "Zoë"}
    assert len({image["version"] for image in before.values()}) > 2

    export_half_way(first, export)
    told = first.cli_json("export", str(export))
    assert told["exported"] + told["same"] == len(before)
    assert told["same"] > 0
    assert told["failed"] == []
    check_export(export, before)

    second = start_system(nodes=1)
    ann = second.add_user("ann")  # Zoë stays unknown there
    told = second.cli_json("import", str(export), "--jobs", "8")
    assert (told["imported"], told["failed"], told["other_facts"]) == (len(before), [], [])
    assert facts_of(second.admin()) == before
    assert bytes_of(second.admin(), list(before)) == bytes_of(admin, list(before))
    told = second.cli_json("import", str(export))
    assert (told["imported"], told["same"], told["other_facts"]) == (0, len(before), [])
    assert facts_of(second.admin()) == before
    check_rights(second, ann)


def import_half_way(system: System, folder: Path) -> None:
    def is_half_way() -> bool:
        return len(facts_of(system.admin())) > 20

    interrupt(system, "import", str(folder), "--jobs", "1", when=is_half_way)
    assert 20 < len(facts_of(system.admin())) < COUNT


def export_half_way(system: System, export: Path) -> None:
    def is_half_way() -> bool:
        return len(list(export.glob("images/*/*"))) > 20

    interrupt(system, "export", str(export), "--jobs", "1", when=is_half_way)
    assert not (export / MANIFEST).exists()
    refused = system.cli("import", str(export), check=False)
    assert refused.returncode == 6, refused.stderr


def make_history(system: System, bodies: Sequence[Photograph]) -> None:
    """Odd keys, other owners, versions above 1, a key that was deleted and came back."""
    ann, zoe, admin = system.add_user("ann"), system.add_user("Zoë"), system.admin()
    for number, key in enumerate(ODD_KEYS):
        owner = (ann, zoe)[number % 2]
        assert owner.put(key, bodies[number].body).status == 201, key
    assert admin.put("a", bodies[42].body).json["version"] == 2
    assert zoe.delete("a/b").status == 204
    assert zoe.put("a/b", bodies[43].body).json["version"] == 3


def check_export(export: Path, facts: dict[str, dict[str, Any]]) -> None:
    lines = [json.loads(line) for line in (export / MANIFEST).read_text(encoding="utf-8").splitlines()]
    assert [line["key"] for line in lines] == sorted(facts, key=str.encode)
    for line in lines:
        expected = {name: value for name, value in facts[line["key"]].items() if name not in ("etag", *DETAILS)}
        assert {name: value for name, value in line.items() if name != "file"} == expected
    on_disk = {str(path.relative_to(export)) for path in export.rglob("*") if path.is_file()}
    assert on_disk == {MANIFEST, *(line["file"] for line in lines)}


def check_rights(system: System, ann: Client) -> None:
    """The users of the first system who are users here own their images; others' images are an administrator's."""
    zoe = system.add_user("Zoë")  # too late
    assert ann.delete("a").status == 204
    assert zoe.delete("a/b").problem == (403, "forbidden")
    assert ann.delete("a/b").problem == (403, "forbidden")
    assert system.admin().delete("a/b").status == 204


def test_prefixes_conflicts_and_facts_on_a_system_that_is_in_use(
    system: System, few: tuple[Photograph, ...], tmp_path: Path
) -> None:
    folder, export, admin = tmp_path / "folder", tmp_path / "export", system.admin()
    folder.mkdir()
    for photograph in few[:6]:
        (folder / Path(photograph.name).name).write_bytes(photograph.body)
    names = sorted(Path(photograph.name).name for photograph in few[:6])
    assert system.cli_json("import", str(folder), "--prefix", "p/")["imported"] == 6
    assert sorted(image["key"] for image in admin.list("p/")) == [f"p/{name}" for name in names]

    assert admin.put(f"p/{names[0]}", few[10].body).status == 200
    done = system.cli("import", str(folder), "--prefix", "p/", "--json", check=False)
    assert done.returncode == 6
    assert [one["key"] for one in json.loads(done.stdout)["conflicts"]] == [f"p/{names[0]}"]
    assert admin.get(f"p/{names[0]}").body == few[10].body
    assert system.cli("import", str(folder), "--prefix", "p/", "--on-conflict", "fail", check=False).returncode == 6
    told = system.cli_json("import", str(folder), "--prefix", "p/", "--on-conflict", "replace")
    assert (told["imported"], told["replaced"], told["same"]) == (0, 1, 5)
    assert admin.get(f"p/{names[0]}").body == (folder / names[0]).read_bytes()

    for exported, same in ((6, 0), (0, 6)):
        told = system.cli_json("export", str(export), "--prefix", "p/")
        assert (told["exported"], told["same"]) == (exported, same)
    before = {image["key"]: image for image in admin.list("p/")}
    assert admin.delete(f"p/{names[0]}").status == 204
    told = system.cli_json("import", str(export))
    assert (told["imported"], told["same"]) == (1, 5)
    # Version and time of a key never go back, and that is told.
    assert told["other_facts"] == [{"key": f"p/{names[0]}", "facts": ["version", "updated_at"]}]
    after = admin.metadata(f"p/{names[0]}").json
    assert after["version"] == before[after["key"]]["version"] + 2
    assert after["updated_at"] > before[after["key"]]["updated_at"]
    assert after["created_at"] == before[after["key"]]["created_at"]


def test_who_is_no_administrator_imports_but_does_not_restore(
    system: System, few: tuple[Photograph, ...], tmp_path: Path
) -> None:
    assert system.admin().put("q/1", few[0].body).status == 201
    export = tmp_path / "export"
    system.cli("export", str(export), "--prefix", "q/")
    assert system.admin().delete("q/1").status == 204
    ann = system.add_user("ann")
    refused = system.cli("import", str(export), "--token", str(ann.token), check=False)
    assert (refused.returncode, "--without-facts" in refused.stderr) == (4, True)
    assert system.admin().metadata("q/1").status == 404
    system.cli("import", str(export), "--without-facts", "--token", str(ann.token))
    assert system.admin().metadata("q/1").json["owner"] == "ann"
    assert ann.delete("q/1").status == 204


def test_a_part_that_is_killed_holds_up_neither(system: System, few: tuple[Photograph, ...], tmp_path: Path) -> None:
    """Storage is killed while images go in and out: both wait for it and lose nothing."""
    folder, export = tmp_path / "folder", tmp_path / "export"
    folder.mkdir()
    for photograph in few:
        (folder / Path(photograph.name).name).write_bytes(photograph.body)
    with ThreadPoolExecutor(1) as thread:
        done = thread.submit(system.cli_json, "import", str(folder), "--prefix", "k/", "--jobs", "1")
        wait_for(lambda: len(list(system.admin().list("k/"))) > 2, "some are imported")
        system.kill(system.find("storage")[0])
        told = done.result()
    assert told["imported"] + told["same"] == len(few)
    shutil.rmtree(export, ignore_errors=True)
    with ThreadPoolExecutor(1) as thread:
        done = thread.submit(system.cli_json, "export", str(export), "--prefix", "k/", "--jobs", "1")
        wait_for(lambda: list(export.glob("images/*/*")), "some are exported", every=0.005)
        started = time.monotonic()
        system.kill(system.find("storage")[0])
        assert done.result()["exported"] == len(few), time.monotonic() - started
