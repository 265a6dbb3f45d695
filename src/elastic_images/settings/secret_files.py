"""Generated secrets: files in the data folder that only their owner can read."""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path


def read_secret(file: Path) -> str | None:
    """The content of the file; None if it is missing or empty. Raises OSError."""
    try:
        return file.read_text(encoding="utf-8").strip() or None
    except (FileNotFoundError, NotADirectoryError):
        return None


def read_or_make_secret(file: Path) -> str:
    """The content of the file, or a new secret of 256 bits written to it. Safe between processes."""
    found = read_secret(file)
    if found is not None:
        return found
    made = secrets.token_hex(32)
    keep_secret(file, made, replace=False)
    return read_secret(file) or made


def keep_secret(file: Path, secret: str, *, replace: bool = True) -> None:
    """Write a file with mode 600 atomically. Unless `replace` is true, an existing file stays."""
    file.parent.mkdir(parents=True, exist_ok=True)
    temporary = file.with_name(f".{file.name}.{os.getpid()}.{secrets.token_hex(4)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            stream.write(secret + "\n")
            stream.flush()
            os.fsync(stream.fileno())
        if replace:
            temporary.replace(file)
        else:
            with contextlib.suppress(FileExistsError):
                os.link(temporary, file)  # fails if another process was first
    finally:
        temporary.unlink(missing_ok=True)
