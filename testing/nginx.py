"""nginx for a test, with the configurations that the documentation shows."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

NGINX = shutil.which("nginx")
_DOCS = Path(__file__).parents[1] / "docs"


def documented(page: str) -> str:
    """The first nginx configuration on a page of `docs`."""
    return (_DOCS / page).read_text(encoding="utf-8").split("```nginx\n")[1].split("```")[0]


@contextlib.contextmanager
def running_nginx(folder: Path, http: str) -> Iterator[None]:
    """nginx in a folder of its own, with this inside of `http { }`. The caller waits until it answers."""
    folder.mkdir()
    where = [f"{kind}_temp_path {folder};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")]
    inside = "\n".join(["access_log off;", *where, http])
    begin = f"daemon off; user root; pid {folder}/pid; error_log {folder}/errors;"
    (folder / "nginx.conf").write_text(f"{begin} events {{}} http {{\n{inside}\n}}\n")
    process = subprocess.Popen(["nginx", "-e", str(folder / "errors"), "-c", str(folder / "nginx.conf")])
    try:
        yield
    finally:
        process.terminate()
        process.wait()
