"""What people would build instead: nginx with static files, nginx with memcached, a Flask view.

Each is configured as well as we know how, so that the comparison is worth something; what was measured to decide it
stands beside the setting.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
from testing.object_servers import seaweedfs

from benchmarks.lib import processes
from benchmarks.lib.targets import FLASK, MEMCACHED, NGINX, SEAWEEDFS, Target

_NGINX = """
{user}
daemon off;
worker_processes 1;
pid {folder}/pid;
error_log {folder}/error.log warn;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    sendfile on;
    tcp_nopush on;
    # Its default of 1,000 requests makes the load generator connect anew all the time.
    keepalive_requests 1000000000;
    types {{ }}
    default_type image/jpeg;
    client_body_temp_path {folder}/temp-body;
    proxy_temp_path {folder}/temp-proxy;
    fastcgi_temp_path {folder}/temp-fastcgi;
    uwsgi_temp_path {folder}/temp-uwsgi;
    scgi_temp_path {folder}/temp-scgi;
{http}
    server {{
        listen 127.0.0.1:{port} reuseport;
{server}
    }}
}}
"""

_STATIC_HTTP = """
    open_file_cache max=200000 inactive=10m;
    open_file_cache_valid 10m;
"""

_STATIC_SERVER = """
        root {root};
        location /images/ {{ }}
"""

_MEMCACHED_HTTP = """
    upstream memcached {{
        server 127.0.0.1:{memcached_port};
        keepalive 128;
        keepalive_requests 1000000000;
    }}
"""

# A buffer of 128 KB instead of the default of one page: 10 KB, 100 KB and 1 MB came 2.6, 6.6 and 1.5 times as fast.
_MEMCACHED_SERVER = """
        location /images/ {
            set $memcached_key $uri;
            memcached_pass memcached;
            memcached_buffer_size 128k;
        }
"""


@contextlib.contextmanager
def seaweedfs_bucket(folder: Path) -> Iterator[tuple[Target, str]]:
    """A bucket of SeaweedFS with its data below `folder`, and its path. It does not flush what it writes."""
    with seaweedfs(place=folder, open_to_all=True) as server:
        port, process = int(server.url.rpartition(":")[2]), psutil.Process(server.process_id)
        yield Target(SEAWEEDFS, port, lambda: [process]), f"/{server.fresh_bucket()}/"


@contextlib.contextmanager
def nginx_static(folder: Path, root: Path) -> Iterator[Target]:
    """Serve by nginx the files below `root/images`."""
    with _nginx(folder, _STATIC_HTTP, _STATIC_SERVER.format(root=root)) as (port, nginx):
        yield Target(NGINX, port, lambda: processes.with_children(nginx))


@contextlib.contextmanager
def nginx_memcached(folder: Path, megabytes: int) -> Iterator[tuple[Target, int]]:
    """Nginx in front of a memcached of that many megabytes; also gives memcached's port, to fill it."""
    with contextlib.ExitStack() as stack:
        memcached_port, memcached = stack.enter_context(_memcached(folder, megabytes))
        http = _MEMCACHED_HTTP.format(memcached_port=memcached_port)
        port, nginx = stack.enter_context(_nginx(folder, http, _MEMCACHED_SERVER))
        yield Target(MEMCACHED, port, lambda: [*processes.with_children(nginx), memcached]), memcached_port


@contextlib.contextmanager
def flask_view(folder: Path, root: Path) -> Iterator[Target]:
    """`naive.py` over the files below `root/images`."""
    folder.mkdir(parents=True)
    log = folder / "log"
    here = Path(__file__).resolve().parents[2]

    def port() -> int | None:
        lines = [line for line in log.read_text().splitlines() if line.startswith('{"port"')]
        return int(json.loads(lines[0])["port"]) if lines else None

    command = [sys.executable, "-m", "benchmarks.lib.naive", str(root / "images")]
    environ = {**os.environ, "PYTHONPATH": str(here)}
    with processes.child(command, log, lambda: port() is not None, environ=environ) as process:
        yield Target(FLASK, port() or 0, lambda: [process])


@contextlib.contextmanager
def _nginx(folder: Path, http: str, server: str) -> Iterator[tuple[int, psutil.Process]]:
    folder.mkdir(parents=True, exist_ok=True)
    # Only the superuser's nginx changes its user, and then to one who cannot read our folder.
    user = f"user {processes.user_name()};" if os.geteuid() == 0 else ""
    with processes.reserved_port() as port:
        config = folder / "nginx.conf"
        config.write_text(_NGINX.format(user=user, folder=folder, port=port, http=http, server=server))
        command = ["nginx", "-e", str(folder / "error.log"), "-c", str(config)]
        with processes.child(command, folder / "nginx.log", lambda: processes.answers(port)) as nginx:
            yield port, nginx


@contextlib.contextmanager
def _memcached(folder: Path, megabytes: int) -> Iterator[tuple[int, psutil.Process]]:
    folder.mkdir(parents=True, exist_ok=True)
    port_file = folder / "memcached-port"  # it writes there which free port it took
    # Values of up to 4 MB instead of its default of 1 MB.
    command = [
        "memcached", "-u", processes.user_name(), "-l", "127.0.0.1", "-p", "-1", "-U", "0",
        "-m", str(megabytes), "-I", "4m", "-c", "4096",
    ]  # fmt: skip
    environ = {**os.environ, "MEMCACHED_PORT_FILENAME": str(port_file)}

    def port() -> int:
        lines = port_file.read_text().splitlines() if port_file.exists() else []
        found = [line.partition(":")[2] for line in lines if line.startswith("TCP INET:")]
        return int(found[0]) if found else 0

    with processes.child(command, folder / "memcached.log", lambda: processes.answers(port()), environ=environ) as one:
        yield port(), one
