"""Logging for every process: plain lines on standard error, without secrets.

A line is `time level app[pid] request-id message`; the time is UTC.
"""

from __future__ import annotations

import logging
import os
import re
import sys
import time
from collections.abc import Collection

from elastic_images.core.redact import hide_password

_TOKEN = re.compile(r"\bei_[A-Za-z0-9_-]{4,}")
_AUTHORIZATION = re.compile(
    r"(?P<name>authorization['\"]?\s*[:=]\s*['\"]?(?:bearer|basic)?\s*|\bbearer\s+)[^\s'\",;]+", re.IGNORECASE
)


class PlainFormatter(logging.Formatter):
    """Formats a record as one line, followed by its traceback if there is one, with secrets hidden."""

    converter = staticmethod(time.gmtime)
    default_msec_format = "%s.%03dZ"
    default_time_format = "%Y-%m-%dT%H:%M:%S"

    def __init__(self, app: str, secrets: Collection[str] = ()) -> None:
        super().__init__(f"%(asctime)s %(levelname)s {app}[{os.getpid()}] %(request_id)s %(message)s")
        self._secrets = [secret for secret in secrets if secret]

    def format(self, record: logging.LogRecord) -> str:
        """The redacted line or lines."""
        record.request_id = _request_id()
        return redact(super().format(record), self._secrets)


def redact(text: str, secrets: Collection[str] = ()) -> str:
    """The text without API tokens, Authorization values, passwords in URLs and the given secrets."""
    for secret in secrets:
        text = text.replace(secret, "***")
    return hide_password(_AUTHORIZATION.sub(r"\g<name>***", _TOKEN.sub("ei_***", text)))


def setup(app: str, *, secrets: Collection[str] = (), level: int = logging.INFO) -> None:
    """Make this process's root logger write such lines to standard error, and nothing else."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(PlainFormatter(app, secrets))
    root = logging.getLogger()
    for old in root.handlers[:]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(level)
    # They log every connection and request.
    for chatty in ("urllib3", "botocore", "boto3", "alembic", "werkzeug", "PIL"):
        logging.getLogger(chatty).setLevel(max(level, logging.WARNING))


def _request_id() -> str:
    # Processes without a Flask app, such as the supervisor, must not import Flask for this.
    flask = sys.modules.get("flask")
    if flask is None or not flask.has_request_context():
        return "-"
    return str(flask.g.get("request_id") or "-")
