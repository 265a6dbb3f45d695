"""The whole system on S3 (SeaweedFS) and MariaDB or PostgreSQL, as it runs on AWS."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import psutil
import pytest
from testing.database_servers import DatabaseServer, mariadb, mariadb_installed, postgresql, postgresql_binaries
from testing.object_servers import WRITER, S3Server, seaweedfs
from testing.photographs import Photograph
from testing.system import System, running
from testing.waiting import wait_for

DATABASES = [
    pytest.param(
        mariadb, marks=pytest.mark.skipif(not mariadb_installed(), reason="needs mariadb-server"), id="mariadb"
    ),
    pytest.param(
        postgresql, marks=pytest.mark.skipif(not postgresql_binaries(), reason="needs postgresql"), id="postgresql"
    ),
]


@dataclass(frozen=True, slots=True)
class Cloud:
    """A system and the servers that it is on."""

    system: System
    database_url: str
    object_store: str
    s3: S3Server


@contextmanager
def cloud_on(kind: Callable[[], AbstractContextManager[DatabaseServer]], folder: Path) -> Iterator[Cloud]:
    """A system that starts with empty servers."""
    with ExitStack() as stack:
        s3 = stack.enter_context(seaweedfs())
        database_url = stack.enter_context(stack.enter_context(kind()).fresh_url())
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        for name, value in s3.environment().items():
            patch.setenv(name, value)
        store = f"s3://{s3.fresh_bucket()}/images"
        system = stack.enter_context(running(folder, object_store=store, database=database_url, storage_processes=2))
        yield Cloud(system, database_url, store, s3)


def put(system: System, key: str, photo: Photograph) -> bool:
    return system.admin().put(key, photo.body).status in (200, 201)


def fsck(cloud: Cloud) -> dict[str, object]:
    done = cloud.system.cli("fsck", "--digests", "--json", object_store=cloud.object_store, database=cloud.database_url)
    return dict(json.loads(done.stdout))


def images_are_uploaded_read_replaced_and_deleted(cloud: Cloud, few: tuple[Photograph, ...]) -> None:
    admin, visitor = cloud.system.admin(), cloud.system.client()
    for number, photo in enumerate(few):
        assert admin.put(f"p/{number}", photo.body).status == 201
    for key, photo in (("Case1", few[0]), ("case1", few[1])):
        assert admin.put(key, photo.body).status == 201
    for number, photo in enumerate(few):
        assert visitor.get(f"p/{number}").body == photo.body
    assert (visitor.get("Case1").body, visitor.get("case1").body) == (few[0].body, few[1].body)
    assert admin.put("p/0", few[5].body).status == 200
    assert visitor.get("p/0").body == few[5].body
    assert admin.delete("p/1").status == 204
    assert visitor.get("p/1").status == 404
    assert [image["key"] for image in admin.list(prefix="p/", limit=7)] == sorted(
        f"p/{number}" for number in range(len(few)) if number != 1
    )
    report = fsck(cloud)
    assert (report["healthy"], report["images"], report["waiting"]) == (True, len(few) + 1, 2)
    assert not (cloud.system.data / "objects").exists()
    assert not list(cloud.system.data.glob("*.db"))


def the_pool_is_resized_and_reads_go_on(cloud: Cloud, few: tuple[Photograph, ...]) -> None:
    for nodes in (3, 1):
        cloud.system.scale(nodes)
        for number in range(2, len(few)):
            assert cloud.system.client().get(f"p/{number}").body == few[number].body
    assert len(cloud.system.autoscaler().resizes(10)) >= 3


def a_storage_process_that_is_killed_loses_nothing(cloud: Cloud, few: tuple[Photograph, ...]) -> None:
    admin = cloud.system.admin()
    victim = cloud.system.find("storage")[0]
    written = [f"k/{number}" for number in range(12) if admin.put(f"k/{number}", few[number].body).status == 201]
    cloud.system.kill(victim)
    for number in range(12, 24):
        wait_for(partial(put, cloud.system, f"k/{number}", few[number]), "an upload by the other process")
    for key in [*written, *(f"k/{number}" for number in range(12, 24))]:
        assert cloud.system.client().get(key).body == few[int(key[2:])].body
    wait_for(lambda: len(cloud.system.find("storage")) == 2, "storage is started again")
    assert fsck(cloud)["healthy"]


def a_restart_on_an_empty_data_folder_finds_everything(cloud: Cloud, few: tuple[Photograph, ...]) -> None:
    """Nothing that counts is on the machine: what is lost with it is secrets, which are made anew."""
    cloud.system.end()
    for file in cloud.system.data.rglob("*"):
        if file.is_file() and file.name != "cli-token":
            file.unlink()
    cloud.system.start()
    for number in range(2, len(few)):
        assert cloud.system.client().get(f"p/{number}").body == few[number].body
    assert cloud.system.admin().put("after", few[3].body).status == 201


def the_doctor_finds_nothing_bad(cloud: Cloud) -> None:
    settings = {"object_store": cloud.object_store, "database": cloud.database_url}
    done = cloud.system.cli("doctor", check=False, **settings)
    assert done.returncode == 0, done.stdout
    assert "web at" in done.stdout
    assert "the object store's clock agrees with this machine's" in done.stdout


def s3_that_is_away_is_said_to_be_away_and_comes_back(cloud: Cloud, few: tuple[Photograph, ...]) -> None:
    """SeaweedFS is stopped where it stands, and goes on: what is in memory is served meanwhile."""
    cloud.system.client().get("p/2")
    port = int(cloud.s3.url.rpartition(":")[2])
    server = next(
        process
        for process in psutil.Process().children()
        if any(place.laddr.port == port for place in process.net_connections("tcp") if place.status == "LISTEN")
    )
    os.kill(server.pid, signal.SIGSTOP)
    try:
        answer = cloud.system.admin().request("PUT", "/api/images/away", body=few[4].body)
        assert answer.status == 503
        assert cloud.system.client().get("p/2").body == few[2].body
    finally:
        os.kill(server.pid, signal.SIGCONT)
    wait_for(partial(put, cloud.system, "away", few[4]), "uploads work again")


def no_credential_is_in_the_logs_or_the_data_folder(cloud: Cloud) -> None:
    folder: Path = cloud.system.data
    texts = [cloud.system.log_path, *(file for file in folder.rglob("*") if file.is_file())]
    for file in texts:
        content = file.read_bytes()
        for secret in WRITER:
            assert secret.encode() not in content, file


@pytest.mark.parametrize("kind", DATABASES)
def test_the_life_of_a_system_on_s3_and_a_database_server(
    kind: Callable[[], AbstractContextManager[DatabaseServer]], tmp_path: Path, few: tuple[Photograph, ...]
) -> None:
    """Step after step, in this order."""
    with cloud_on(kind, tmp_path) as cloud:
        images_are_uploaded_read_replaced_and_deleted(cloud, few)
        the_pool_is_resized_and_reads_go_on(cloud, few)
        a_storage_process_that_is_killed_loses_nothing(cloud, few)
        a_restart_on_an_empty_data_folder_finds_everything(cloud, few)
        the_doctor_finds_nothing_bad(cloud)
        s3_that_is_away_is_said_to_be_away_and_comes_back(cloud, few)
        no_credential_is_in_the_logs_or_the_data_folder(cloud)
