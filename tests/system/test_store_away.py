"""The object store goes away under load and comes back: nothing acknowledged is lost, and nothing is called lost."""

from __future__ import annotations

import shutil
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from testing.object_servers import S3Server, seaweedfs
from testing.photographs import Photograph
from testing.system import StartFailed, System, running
from testing.waiting import wait_for
from tests.system.conftest import StartSystem

from elastic_images.database.engine import open_engine
from elastic_images.database.migrate import alembic_config

CACHED = 3
Return = Callable[[], None]


@dataclass
class Load:
    """Writers that note what was acknowledged, and a reader of images that are cached."""

    system: System
    photos: tuple[Photograph, ...]
    prefix: str
    kept: dict[str, Photograph] = field(default_factory=dict)
    answers: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)

    def write(self, number: int) -> None:
        client, count = self.system.admin(), 0
        while not self._stop.is_set():
            key, photo = f"{self.prefix}/{number}/{count}", self.photos[count % len(self.photos)]
            answer = client.put(key, photo.body)
            self.answers[str(answer.problem[1]) if answer.status >= 400 else "acknowledged"] += 1
            if answer.status == 201:
                self.kept[key] = photo
            count += 1

    def read(self) -> None:
        visitor = self.system.client()
        while not self._stop.is_set():
            for number in range(CACHED):
                answer = visitor.get(f"cached/{number}")
                if answer.status != 200 or answer.body != self.photos[number].body:
                    self.wrong.append(f"{answer.status} {answer.body[:200]!r}")

    def wait_for_more(self, what: str, count: int = 20) -> None:
        wanted = self.answers[what] + count
        wait_for(lambda: self.answers[what] >= wanted, f"{count} more {what}", seconds=60)

    @contextmanager
    def running(self) -> Iterator[None]:
        work = [lambda number=number: self.write(number) for number in range(3)]
        threads = [threading.Thread(target=one) for one in (*work, self.read)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._stop.set()
            for thread in threads:
                thread.join()


def cache(system: System, photos: tuple[Photograph, ...]) -> None:
    visitor = system.client()
    for number in range(CACHED):
        assert system.admin().put(f"cached/{number}", photos[number].body).status in (200, 201)
        wait_for(lambda number=number: visitor.get(f"cached/{number}").cache in ("HIT", "HIT-NEAR"), "it is cached")  # type: ignore[misc]


def nothing_is_lost(
    system: System, photos: tuple[Photograph, ...], prefix: str, take_away: Callable[[], Return]
) -> None:
    """The trial: the store is taken away under writes and reads, and given back."""
    admin, visitor = system.admin(), system.client()
    cache(system, photos)
    assert admin.put(f"{prefix}/uncached", photos[5].body).status == 201
    load = Load(system, photos, prefix)
    with load.running():
        load.wait_for_more("acknowledged")
        give_back = take_away()
        load.wait_for_more("store-away")
        wait_for(lambda: visitor.get(f"{prefix}/uncached").status == 503, "reads notice it")
        refused = visitor.get(f"{prefix}/uncached")
        assert refused.problem == (503, "store-away")
        assert refused.headers["Retry-After"]
        assert admin.delete(f"{prefix}/uncached").problem == (503, "store-away")
        assert admin.delete("cached/0").problem == (503, "store-away")
        assert admin.metadata(f"{prefix}/uncached").status == 200
        acknowledged = load.answers["acknowledged"]
        load.wait_for_more("store-away")
        assert load.answers["acknowledged"] == acknowledged
        give_back()
        load.wait_for_more("acknowledged")
    assert load.wrong == [], "what is cached is read as ever"
    assert set(load.answers) == {"acknowledged", "store-away"}
    for key, photo in load.kept.items():
        assert visitor.get(key).body == photo.body
    assert visitor.get(f"{prefix}/uncached").body == photos[5].body


def log_lines(system: System, words: str) -> int:
    return sum(words in line for line in system.log_path.read_text().splitlines())


@pytest.mark.parametrize("instead", ["nothing", "an empty folder", "another store", "the same folder, emptied"])
def test_a_folder_goes_under_load_and_comes_back(
    system: System, few: tuple[Photograph, ...], instead: str, tmp_path: Path
) -> None:
    objects, aside = system.data / "objects", tmp_path / "aside"

    def take_away() -> Return:
        if instead == "the same folder, emptied":
            aside.mkdir()
            for entry in sorted(objects.iterdir(), key=lambda path: path.name != "store-id"):
                entry.rename(aside / entry.name)

            def give_back() -> None:
                assert [path for path in objects.rglob("*") if path.is_file()] == []
                shutil.rmtree(objects)
                aside.rename(objects)

            return give_back
        other = tmp_path / "other"
        other.mkdir()
        if instead == "another store":
            (other / "store-id").write_text("f" * 32)
        objects.rename(aside)
        if instead != "nothing":
            other.rename(objects)

        def swap_back() -> None:
            if instead == "nothing":
                assert not objects.exists(), "nothing is made in its place"
            else:
                left = [path.name for path in objects.rglob("*")]
                assert left == (["store-id"] if instead == "another store" else [])
                shutil.rmtree(objects)
            aside.rename(objects)

        return swap_back

    before = log_lines(system, "the object store is away")
    nothing_is_lost(system, few, f"folder/{instead}", take_away)
    assert system.cli_json("fsck", "--digests")["healthy"]
    assert log_lines(system, "the object store is away") in (before + 1, before + 2), "one, or two while it is swapped"
    assert log_lines(system, " lost") == 0


def test_a_bucket_is_emptied_under_load_and_filled_again(
    tmp_path: Path, few: tuple[Photograph, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    with seaweedfs() as s3:
        for name, value in s3.environment().items():
            monkeypatch.setenv(name, value)
        bucket = s3.fresh_bucket()
        with running(tmp_path, object_store=f"s3://{bucket}/images") as system:
            nothing_is_lost(system, few, "bucket", lambda: emptied(s3, bucket))
            done = system.cli("fsck", "--digests", object_store=f"s3://{bucket}/images")
            assert "Every image has its bytes." in done.stdout


def emptied(s3: S3Server, bucket: str) -> Return:
    """Empty the bucket, its id first, as no object may be missed before that."""
    client = s3.client()
    kept: dict[str, bytes] = {}

    def remove(key: str) -> None:
        kept[key] = client.get_object(Bucket=bucket, Key=key)["Body"].read()
        client.delete_object(Bucket=bucket, Key=key)

    def keys() -> list[str]:
        return [one["Key"] for one in client.list_objects_v2(Bucket=bucket).get("Contents", [])]

    remove("images/store-id")
    for key in keys():
        try:
            remove(key)
        except client.exceptions.NoSuchKey:
            kept.pop(key, None)  # an upload that came too late, and was taken back

    def fill() -> None:
        for key in sorted(kept):  # the id last
            client.put_object(Bucket=bucket, Key=key, Body=kept[key])

    return fill


def test_up_does_not_start_without_its_store(start_system: StartSystem, few: tuple[Photograph, ...]) -> None:
    system = start_system()
    assert system.admin().put("k", few[0].body).status == 201
    assert system.cli_json("store", "status")["state"] == "present"
    refused = system.cli("store", "adopt", "--yes")
    assert "nothing to do" in refused.stdout
    system.stop()
    objects, aside = system.data / "objects", system.data / "aside"
    objects.rename(aside)
    with pytest.raises(StartFailed, match="`up` ended with 5"):
        system.start()
    assert f"The object store {objects.as_uri()} is absent or empty" in system.log_tail()
    assert "Traceback" not in system.log_tail()
    assert not objects.exists()
    assert system.cli("store", "status", check=False).returncode == 1
    doctor = system.cli("doctor", check=False).stdout
    assert "is absent or empty" in doctor
    assert "store adopt --yes" in doctor
    for words in (["fsck"], ["backup", "create", str(system.data / "backup")]):
        assert system.cli(*words, check=False).returncode == 5
    aside.rename(objects)
    system.start()
    assert system.client().get("k").body == few[0].body


def test_storage_that_is_restarted_without_its_store_says_so(
    start_system: StartSystem, few: tuple[Photograph, ...]
) -> None:
    """The process starts and refuses; one that ended would be `unavailable`, and nobody would know why."""
    system = start_system()
    admin, visitor = system.admin(), system.client()
    assert admin.put("k", few[0].body).status == 201
    objects, aside = system.data / "objects", system.data / "aside"
    objects.rename(aside)
    (victim,) = system.find("storage")
    system.kill(victim)

    def refused() -> bool:
        return admin.put("new", few[1].body).problem == (503, "store-away")

    wait_for(refused, "a new storage process refuses writes", seconds=60)
    assert visitor.get("k").problem == (503, "store-away")
    assert admin.delete("k").problem == (503, "store-away")
    assert admin.metadata("k").status == 200
    ready = system.client(app="storage").request("GET", "/readyz").json
    assert (ready["read"], ready["write"]) == (False, False)
    assert "is absent or empty, although this system has used it" in ready["checks"]["object_store"]["detail"]
    (storage,) = system.find("storage")
    aside.rename(objects)
    wait_for(lambda: admin.put("new", few[1].body).status == 201, "it works again")
    assert visitor.get("k").body == few[0].body
    assert system.find("storage") == [storage]


def test_another_store_is_adopted_while_the_system_runs(start_system: StartSystem, few: tuple[Photograph, ...]) -> None:
    system = start_system()
    assert system.admin().put("gone", few[0].body).status == 201
    shutil.rmtree(system.data / "objects")
    assert system.admin().put("k", few[1].body).problem == (503, "store-away")
    refused = system.cli("store", "adopt", check=False)
    assert (refused.returncode, (system.data / "objects").exists()) == (2, False)
    assert "Of 1 images, 1 were looked for; it has the bytes of 0." in refused.stderr
    system.cli("store", "adopt", "--yes")
    wait_for(lambda: system.admin().put("k", few[1].body).status == 201, "the new store is used")
    assert system.client().get("k").body == few[1].body
    assert system.client().get("gone").problem == (500, "lost")


def test_a_data_folder_from_before_store_ids_is_upgraded(
    start_system: StartSystem, few: tuple[Photograph, ...]
) -> None:
    from alembic import command

    system = start_system()
    for number, photo in enumerate(few):
        assert system.admin().put(f"p/{number}", photo.body).status == 201
    system.stop()
    engine = open_engine(f"sqlite:///{next(system.data.glob('*.db'))}")
    with engine.connect() as connection:
        command.downgrade(alembic_config(connection), "0002")
        connection.commit()
    engine.dispose()
    (system.data / "objects" / "store-id").unlink()
    (system.data / "objects").rename(system.data / "aside")
    with pytest.raises(StartFailed, match="`up` ended with 5"):
        system.start()
    (system.data / "aside").rename(system.data / "objects")
    system.start()
    for number, photo in enumerate(few):
        assert system.client().get(f"p/{number}").body == photo.body
    assert system.cli_json("store", "status")["state"] == "present"
