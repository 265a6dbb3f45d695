"""`elastic-images up` as a person sees it: what it prints, how it ends, and that nothing is left of it."""

from __future__ import annotations

import os
import re
import signal
import stat
import subprocess
from pathlib import Path

from testing.photographs import Photograph
from testing.system import COMMAND, System, environment, free_offset
from testing.waiting import wait_for
from tests.system.conftest import StartSystem


def printed(system: System) -> str:
    return system.log_path.read_text()


def refused(data: Path, **settings: object) -> tuple[int, str]:
    """Exit code and message of an `up` that does not start."""
    with free_offset() as offset:
        done = subprocess.run(
            [str(COMMAND), "up"],
            env=environment({"data": data, "port_offset": offset, **settings}),
            cwd=data.parent,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, done.stderr


def test_it_says_where_it_is_and_the_password_once(
    start_system: StartSystem, few: tuple[Photograph, ...], tmp_path: Path
) -> None:
    data = tmp_path / "system-0" / "data"
    data.mkdir(parents=True)
    data.chmod(0o755)
    system = start_system()
    assert system.data == data
    file = data / "admin-password"
    password = file.read_text().strip()
    wait_for(lambda: "Ctrl-C stops it" in printed(system), "it has said everything")
    for text in (system.url("web"), system.url("manager"), str(data), "administrator: admin", password):
        assert text in printed(system)
    assert "WARNING" not in printed(system)
    assert (data / "internal-token").read_text().strip() not in printed(system)
    assert system.admin().put("k1", few[0].body).status == 201
    # Nothing in an open data folder is for others to read.
    assert [str(one) for one in data.rglob("*") if one.stat().st_mode & 0o077] == []
    for secret in ("admin-password", "cli-token", "internal-token", "secret-key"):
        assert stat.S_IMODE((data / secret).stat().st_mode) == 0o600
    # The command line finds it by its data folder alone, while it runs.
    assert system.cli("ls", port_offset="").stdout == "k1\n"
    assert "wanted" in system.cli("pool", "status", port_offset="").stdout
    system.stop()
    assert not (data / "run" / "urls.json").exists()
    first = len(printed(system))

    system.start()
    wait_for(lambda: "Ctrl-C stops it" in printed(system)[first:], "it has said everything")
    assert password not in printed(system)[first:]
    assert system.client().get("k1").body == few[0].body


def test_processes_that_hang_do_not_hold_its_exit(start_system: StartSystem) -> None:
    system = start_system(nodes=2)
    for hung in (system.node(0), *system.find("manager")):
        hung.suspend()
    assert system.stop() == 0
    assert "manager did not stop in time; killing it" in printed(system)


def test_a_killed_supervisor_can_be_started_again_at_once_and_leaves_nothing(
    start_system: StartSystem, few: tuple[Photograph, ...]
) -> None:
    system = start_system(nodes=2)
    assert system.admin().put("k1", few[0].body).status == 201
    assert len(system.processes()) >= 7
    kill_supervisor(system)
    system.start()
    assert system.client().get("k1").body == few[0].body
    kill_supervisor(system)
    system.wait_gone()


def kill_supervisor(system: System) -> None:
    assert system.process is not None
    system.process.kill()
    system.process.wait(60)


def test_an_open_system_with_several_processes_and_a_preset_password(
    start_system: StartSystem, few: tuple[Photograph, ...]
) -> None:
    preset = "preset-password-1"
    system = start_system(admin_password=preset, anonymous="admin", web_processes=2, storage_processes=2)
    wait_for(lambda: "Ctrl-C stops it" in printed(system), "it has said everything")
    assert preset not in printed(system)
    assert not (system.data / "admin-password").exists()
    for process in system.processes():
        assert preset not in " ".join(process.cmdline())
        if "serve" in process.cmdline():
            assert preset not in str(process.environ())
    assert len(system.find("web")) == len(system.find("storage")) == 2
    for photograph in few:
        assert system.admin().put(photograph.name, photograph.body).status == 201
    for photograph in few:
        assert system.client().get(photograph.name).body == photograph.body
    system.stop()
    system.start()
    # It warns on every start.
    assert len(re.findall(r"^WARNING: .*ANONYMOUS=admin", printed(system), re.MULTILINE)) == 2


def test_no_secret_is_an_argument(system: System) -> None:
    secrets = [(system.data / name).read_text().strip() for name in ("internal-token", "secret-key", "cli-token")]
    for process in system.processes():
        words = " ".join(process.cmdline())
        assert not [secret for secret in secrets if secret in words]


def test_a_locked_data_folder_names_who_holds_it(system: System) -> None:
    assert system.process is not None
    code, message = refused(system.data)
    assert code == 6
    assert f"process {system.process.pid}" in message
    assert str(system.data) in message
    assert system.client().readyz() == 200


def test_a_setting_that_makes_no_sense_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    code, message = refused(tmp_path / "data", nodes="9")
    assert code == 2
    assert "ELASTIC_IMAGES_NODES must be a whole number from 1 to 8" in message
    assert not (tmp_path / "data").exists()


def test_a_database_that_does_not_answer_is_a_plain_word(tmp_path: Path) -> None:
    code, message = refused(tmp_path / "data", database="postgresql://user:hidden@127.0.0.1:1/name")
    assert code == 5
    assert "database" in message
    assert "hidden" not in message


def test_a_data_folder_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("")
    code, message = refused(tmp_path / "data")
    assert code == 2
    assert "Cannot write to" in message


def test_a_start_that_is_interrupted_leaves_nothing(tmp_path: Path) -> None:
    with free_offset() as offset:
        system = System(tmp_path / "data", offset)
        system.launch()
        assert system.process is not None
        wait_for(lambda: system.find("storage"), "the first apps are started")
        system.process.send_signal(signal.SIGTERM)
        assert system.process.wait(60) == 0
        system.end()


def test_a_reader_that_is_gone_does_not_end_the_system(tmp_path: Path) -> None:
    with free_offset() as offset:
        system = System(tmp_path / "data", offset)
        reader, writer = os.pipe()
        process = subprocess.Popen(
            [str(COMMAND), "up"],
            env=environment({"data": system.data, "port_offset": offset}, system.mark),
            stdout=writer,
            stderr=subprocess.DEVNULL,
        )
        os.close(writer)
        os.close(reader)
        wait_for(lambda: system.client().readyz() == 200, "web is ready")
        process.terminate()
        assert process.wait(60) == 0
        system.end()
