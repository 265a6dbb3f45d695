"""The naive solution: a Flask view that serves images from a dictionary. Run it as `python -m benchmarks.lib.naive`.

It uses the same server as this system's apps, so the only difference is Flask's dispatch.
"""

from __future__ import annotations

import hashlib
import json
import sys
import threading
from pathlib import Path

from flask import Flask, Response, abort, request

from elastic_images.process.server import serving
from elastic_images.process.stop_signals import StopSignals


def create_app(folder: Path) -> Flask:
    """Images by their paths below `folder`, each read once."""
    app = Flask(__name__)
    kept: dict[str, tuple[bytes, str]] = {}
    lock = threading.Lock()

    def load(key: str) -> tuple[bytes, str]:
        with lock:
            if key not in kept:
                path = folder / key
                if not path.is_file():
                    abort(404)
                body = path.read_bytes()
                kept[key] = body, hashlib.sha256(body).hexdigest()
            return kept[key]

    @app.get("/images/<path:key>")
    def image(key: str) -> Response:
        body, etag = kept.get(key) or load(key)
        response = Response(body, mimetype="image/jpeg")
        response.set_etag(etag)
        response.make_conditional(request)
        return response

    return app


def main(folder: Path) -> None:
    """Serve until a signal; the port is printed as a line of JSON."""
    with StopSignals() as stop, serving(create_app(folder), threads=16) as bound:
        print(json.dumps({"port": bound.port}), flush=True)
        while not stop.wait():
            pass


if __name__ == "__main__":
    main(Path(sys.argv[1]))
