"""Real MariaDB and PostgreSQL servers for tests, on private folders and Unix sockets: no port to collide on.

With an `address` they also listen there, on their usual ports, for the hosts of testing/hosts.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import create_engine, make_url, text

_START_SECONDS = 120.0
_ROOM_BYTES = 1_000_000_000
_READY = ("ready for connections", "ready to accept connections", "process up: PgBouncer")


class DatabaseServer:
    """A running server; `fresh_url` gives a new, empty database on it."""

    def __init__(self, admin_url: str, database_url: Callable[[str], str]) -> None:
        self._database_url = database_url
        self._engine = create_engine(admin_url, isolation_level="AUTOCOMMIT", pool_size=1, pool_pre_ping=True)
        self._made = 0
        self.stop: Callable[[], None] = _not_running
        """Shut it down cleanly."""
        self.start: Callable[[], None] = _not_running
        """Start it again, on the same data and the same address."""

    @contextmanager
    def fresh_url(self, options: str = "") -> Iterator[str]:
        """The URL of a new database, created with `options` and dropped afterwards."""
        self._made += 1
        name = f"test_{self._made}"
        self.execute(f"CREATE DATABASE {name} {options}")
        try:
            yield self._database_url(name)
        finally:
            forced = " WITH (FORCE)" if self._engine.dialect.name == "postgresql" else ""
            self.execute(f"DROP DATABASE {name}{forced}")

    def close(self) -> None:
        self._engine.dispose()

    def execute(self, statement: str) -> None:
        """Run a statement as the server's administrator."""
        with self._engine.connect() as connection:
            connection.execute(text(statement))


@contextmanager
def mariadb(address: str | None = None) -> Iterator[DatabaseServer]:
    """A MariaDB server (package `mariadb-server`). With an `address`, `fresh_url` uses it."""
    user = _server_user("mysql")
    with _folder(user) as folder:
        log, data, socket = folder / "log", folder / "data", folder / "s"
        common = ["--no-defaults", f"--datadir={data}", *([f"--user={user}"] if user else [])]
        _run(["mariadb-install-db", *common, "--auth-root-authentication-method=normal", "--skip-test-db"], log)
        server = shutil.which("mariadbd") or "/usr/sbin/mariadbd"
        command = [
            server,
            *common,
            f"--socket={socket}",
            f"--pid-file={folder / 'pid'}",
            *([f"--bind-address={address}", "--port=3306"] if address else ["--skip-networking"]),
            "--innodb-buffer-pool-size=32M",
            "--innodb-log-file-size=10M",
            "--innodb-flush-log-at-trx-commit=0",
            "--skip-log-bin",
        ]

        def url(name: str) -> str:
            return f"mariadb+pymysql://root@localhost/{name}?unix_socket={socket}&charset=utf8mb4"

        def url_there(name: str) -> str:
            return f"mariadb://tester@{address}/{name}"

        with _running(command, log, None, DatabaseServer(url(""), url_there if address else url)) as running:
            if address:
                running.execute("CREATE USER tester@'%'")
                running.execute("GRANT ALL ON *.* TO tester@'%'")
            yield running


@contextmanager
def postgresql(address: str | None = None) -> Iterator[DatabaseServer]:
    """A PostgreSQL server (package `postgresql`). With an `address`, `fresh_url` uses it."""
    binaries = postgresql_binaries()
    assert binaries is not None
    user = _server_user("postgres")
    with _folder(user) as folder:
        log, data = folder / "log", folder / "data"
        initdb = [str(binaries / "initdb"), "-D", str(data), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync"]
        _run([*initdb, "--locale=C.UTF-8"], log, user)
        if address:
            with (data / "pg_hba.conf").open("a") as rules:
                rules.write(f"host all all {address}/24 trust\n")
        options = ["-c", f"listen_addresses={address or ''}", "-c", "fsync=off", "-c", "max_connections=200"]
        command = [str(binaries / "postgres"), "-D", str(data), "-k", str(folder), *options]

        def url(name: str) -> str:
            return f"postgresql+psycopg://postgres@/{name}?host={folder}"

        def url_there(name: str) -> str:
            return f"postgresql://postgres@{address}/{name}"

        there = url_there if address else url
        with _running(command, log, user, DatabaseServer(url("postgres"), there)) as running:
            yield running


@contextmanager
def pgbouncer(database_url: str) -> Iterator[str]:
    """The URL of a PostgreSQL database through PgBouncer (package `pgbouncer`) in transaction mode."""
    server = make_url(database_url)
    user = _server_user("postgres")
    with _folder(user) as folder:
        log, settings = folder / "log", folder / "pgbouncer.ini"
        settings.write_text(
            f"[databases]\n* = host={server.query['host']} user=postgres\n[pgbouncer]\nlisten_addr =\n"
            f"listen_port = 6432\nunix_socket_dir = {folder}\nauth_type = any\npool_mode = transaction\n"
            "default_pool_size = 4\nmax_client_conn = 200\n"
        )
        command = [_pgbouncer() or "pgbouncer", str(settings)]
        log.write_bytes(b"")
        with log.open("ab") as output:
            process = subprocess.Popen(command, user=user, cwd="/", stdout=output, stderr=output)
        try:
            _wait_until_ready(process, log)
            yield f"postgresql://postgres@/{server.database}?host={folder}&port=6432"
        finally:
            process.terminate()
            process.wait()


def pgbouncer_installed() -> bool:
    """Whether the package `pgbouncer` is installed."""
    return _pgbouncer() is not None


def _pgbouncer() -> str | None:
    return shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")


def mariadb_installed() -> bool:
    """Whether the package `mariadb-server` is installed."""
    return shutil.which("mariadb-install-db") is not None


def postgresql_binaries() -> Path | None:
    """The folder of the newest server that Debian installed, or None."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda path: int(path.parts[-3]))
    if found:
        return found[-1].parent
    on_path = shutil.which("postgres")
    return Path(on_path).parent if on_path else None


def _server_user(name: str) -> str | None:
    """The user that the server runs as: both servers refuse to run as root."""
    return name if os.geteuid() == 0 else None


@contextmanager
def _folder(user: str | None) -> Iterator[Path]:
    # Not in pytest's folders, which other users cannot enter; and short, because a socket's path is limited.
    folder = Path(tempfile.mkdtemp(prefix="eidb-", dir=_fast_place()))
    try:
        if user is not None:
            entry = pwd.getpwnam(user)
            os.chown(folder, entry.pw_uid, entry.pw_gid)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _fast_place() -> str | None:
    """Memory if there is plenty: creating and dropping databases is mostly waiting for the disk."""
    memory = Path("/dev/shm")  # noqa: S108 - a private folder is made in it
    return str(memory) if memory.is_dir() and shutil.disk_usage(memory).free > _ROOM_BYTES else None


def _run(command: list[str], log: Path, user: str | None = None) -> None:
    done = subprocess.run(command, user=user, cwd="/", capture_output=True, check=False)
    assert done.returncode == 0, f"{command[0]} failed:\n{(done.stdout + done.stderr).decode()}"
    log.touch()


def _wait_until_ready(process: subprocess.Popen[bytes], log: Path) -> None:
    # Read from the log: PyMySQL leaves its socket open when the server refuses it.
    deadline = time.monotonic() + _START_SECONDS
    while not any(words in log.read_text() for words in _READY):
        assert process.poll() is None, f"the server did not start:\n{log.read_text()}"
        assert time.monotonic() < deadline, f"the server did not start in time:\n{log.read_text()}"
        time.sleep(0.05)


@contextmanager
def _running(command: list[str], log: Path, user: str | None, server: DatabaseServer) -> Iterator[DatabaseServer]:
    process: subprocess.Popen[bytes] | None = None

    def start() -> None:
        nonlocal process
        log.write_bytes(b"")
        with log.open("ab") as output:
            process = subprocess.Popen(command, user=user, cwd="/", stdout=output, stderr=output)
        _wait_until_ready(process, log)

    def stop() -> None:
        if process is None:
            return
        # For PostgreSQL this is a fast shutdown, which does not wait for clients; for MariaDB a normal one.
        process.send_signal(2 if "postgres" in command[0] else 15)
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    server.start, server.stop = start, stop
    try:
        start()
        yield server
    finally:
        server.close()
        stop()


def _not_running() -> None:
    raise AssertionError("the server was not started by `mariadb` or `postgresql`")
