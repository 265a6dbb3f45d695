"""`elastic-images doctor` on real servers: what works, and each thing that does not."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import inspect
from testing.database_servers import DatabaseServer
from testing.fault_proxy import fault_proxy
from testing.object_servers import READER, WRITER, S3Server
from testing.settings import make_settings
from tests.unit.cli.support import run, run_json

from elastic_images.database import copying
from elastic_images.database.engine import open_engine
from elastic_images.database.migrate import migrate
from elastic_images.doctor import database, machine, object_store
from elastic_images.doctor.finding import BAD, NOTE, OK, Finding
from elastic_images.doctor.reachability import check_reach
from elastic_images.storage.objects.from_url import open_object_store


@pytest.fixture
def s3_url(seaweedfs_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> str:
    for name, value in seaweedfs_server.environment().items():
        monkeypatch.setenv(name, value)
    return f"s3://{seaweedfs_server.fresh_bucket()}/images"


def free_offset() -> str:
    """A port offset that is free at this moment."""
    from elastic_images.core.errors import ElasticImagesError
    from elastic_images.process.ports import check_free, ports_of

    for offset in range(910, 100, -10):
        try:
            check_free("127.0.0.1", ports_of(offset))
        except ElasticImagesError:
            continue
        return str(offset)
    raise AssertionError("no offset is free")


def bad(findings: Iterator[Finding]) -> list[tuple[str, str]]:
    """What is bad, and how to mend it."""
    return [(finding.what, finding.mend or "") for finding in findings if finding.state == BAD]


def test_a_system_that_could_start_is_healthy_and_left_as_it_is(
    tmp_path: Path, database_url: str, s3_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = open_engine(database_url)
    migrate(engine)
    before = inspect(engine).get_table_names()
    monkeypatch.setenv("ELASTIC_IMAGES_DATABASE", database_url)
    told = run_json("doctor", "--data", str(tmp_path), "--object-store", s3_url, "--port-offset", free_offset())
    assert told["healthy"], told
    assert {finding["state"] for finding in told["findings"]} == {OK, NOTE}  # that no system runs is a note
    areas = {finding["area"] for finding in told["findings"]}
    assert areas == {"settings", "data folder", "object store", "database", "clocks", "ports", "reachability"}
    assert inspect(engine).get_table_names() == before
    engine.dispose()
    store = open_object_store(s3_url)
    assert (store.list(), list(store.partials())) == ([], [])


def test_a_machine_where_nothing_was_started_yet_is_healthy(tmp_path: Path) -> None:
    result = run("doctor", "--data", str(tmp_path / "data"), "--port-offset", free_offset())
    assert (result.exit_code, "does not exist yet" in result.output) == (0, True)
    assert list(tmp_path.iterdir()) == []


def test_everything_that_is_bad_is_told_with_what_mends_it(tmp_path: Path) -> None:
    (tmp_path / "cli-token").write_text("ei_secret_token")
    (tmp_path / "cli-token").chmod(0o644)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        taken = listener.getsockname()[1]
        result = run(
            "doctor",
            *("--data", str(tmp_path), "--object-store", "s3://bucket/p?x", "--port-offset", free_offset()),
            ELASTIC_IMAGES_DATABASE=f"mysql://user:pass-word@127.0.0.1:{taken + 0}/x?connect_timeout=1&read_timeout=1",
            ELASTIC_IMAGES_DATBASE="sqlite:///x",
        )
    assert result.exit_code == 1
    for words in (
        "ELASTIC_IMAGES_DATBASE is not a setting",
        f"chmod 600 {tmp_path}/cli-token",
        "An S3 object store must be a URL such as s3://bucket/prefix",
        "mysql://user:***@127.0.0.1",
        "does not answer",
        "Some checks failed",
    ):
        assert words in result.output
    assert "pass-word" not in result.output
    assert "ei_secret_token" not in result.output


@pytest.mark.parametrize(
    ("credentials", "bucket", "words", "mend"),
    [
        (("AKNOBODY", "nothing"), None, "does not accept the AWS credentials", "correct AWS_ACCESS_KEY_ID"),
        ((WRITER[0], "wrong"), None, "does not accept the AWS credentials", "correct AWS_ACCESS_KEY_ID"),
        (READER, None, "cannot be written: ", "allow s3:PutObject"),
        (WRITER, "no-such-bucket", "has no such bucket", "create the bucket"),
    ],
)
def test_what_is_wrong_with_s3(
    seaweedfs_server: S3Server,
    monkeypatch: pytest.MonkeyPatch,
    credentials: tuple[str, str],
    bucket: str | None,
    words: str,
    mend: str,
) -> None:
    for name, value in seaweedfs_server.environment(credentials).items():
        monkeypatch.setenv(name, value)
    found = bad(object_store.check_store(f"s3://{bucket or seaweedfs_server.fresh_bucket()}"))
    assert any(words in what and mend in how for what, how in found), found
    assert credentials[1] not in str(found)


def test_a_service_that_is_not_there(monkeypatch: pytest.MonkeyPatch, seaweedfs_server: S3Server) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    for name, value in seaweedfs_server.environment(url=url).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("elastic_images.storage.objects.s3.calls.Deadlines.__init__.__defaults__", (0.1, 0.1, 0.1))
    found = bad(object_store.check_store("s3://bucket/p"))
    assert all("does not answer" in what and "AWS_ENDPOINT_URL_S3" in how for what, how in found)
    assert len(found) == 4


def test_clocks_that_differ(s3_url: str, database_url: str, database_server: DatabaseServer | None) -> None:
    def wrong() -> float:
        return time.time() + 600

    notes = [finding for finding in object_store.check_store(s3_url, wrong) if finding.area == "clocks"]
    if database_server is not None:
        notes += [finding for finding in database.check_database(database_url, wrong) if finding.area == "clocks"]
    assert [finding.state for finding in notes] == [NOTE] * len(notes)
    assert all("set up NTP" in (finding.mend or "") for finding in notes)
    assert len(notes) == (1 if database_server is None else 2)


def test_what_is_wrong_with_a_database(database_url: str, database_server: DatabaseServer | None) -> None:
    engine = open_engine(database_url)
    migrate(engine)
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    assert "a newer version of Elastic Images (schema 9999" in bad(database.check_database(database_url))[0][0]
    copying.mark_unfinished(engine, "f" * 32)
    assert "unfinished copy" in bad(database.check_database(database_url))[0][0]
    engine.dispose()
    if database_server is not None:
        missing = database_url.replace("test_", "no_such_")
        ((what, mend),) = bad(database.check_database(missing))
        assert "no_such_" in what
        assert "check the server" in mend


def test_a_user_without_rights_is_told_which(database_url: str, database_server: DatabaseServer | None) -> None:
    if database_server is None or not database_url.startswith("mariadb"):
        return
    database_server.execute("CREATE OR REPLACE USER weak@localhost IDENTIFIED BY 'weak-password'")
    name = database_url.partition("localhost/")[2].partition("?")[0]
    database_server.execute(f"GRANT SELECT ON {name}.* TO weak@localhost")
    try:
        ((what, mend),) = bad(database.check_database(database_url.replace("root@", "weak:weak-password@")))
    finally:
        database_server.execute("DROP USER weak@localhost")
    assert "CREATE command denied" in what
    assert "GRANT ALL" in mend
    assert "weak-password" not in what


def test_a_full_disk_is_bad_and_a_low_one_is_noted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    states: list[Any] = []
    for free in (10**12, 5 * 10**8, 10**7):
        monkeypatch.setattr("shutil.disk_usage", lambda _place, free=free: type("Usage", (), {"free": free}))
        states += [finding.state for finding in machine.check_data(tmp_path) if "GB are free" in finding.what]
    assert states == [OK, NOTE, BAD]


def test_apps_that_do_not_answer_or_have_another_token(tmp_path: Path) -> None:
    from elastic_images.http.base_app import base_app
    from elastic_images.process import server

    app = base_app("stand-in", internal_token="the right one")
    with server.serving(app.wsgi_app) as bound, fault_proxy("http://127.0.0.1:9") as silent:
        settings = make_settings(tmp_path, storage_urls=(f"http://{bound.address}",), autoscaler_url=silent.url)
        settings.sources.update(storage_urls="environment", autoscaler_url="environment")  # type: ignore[attr-defined]
        found = bad(check_reach(settings, running=False))
    assert "does not accept the internal token" in found[0][0]
    assert "ELASTIC_IMAGES_INTERNAL_TOKEN" in found[0][1]
    assert "does not answer" in found[1][0]
