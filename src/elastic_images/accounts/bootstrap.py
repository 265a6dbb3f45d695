"""The first administrator, and the token that lets the command line on this machine work without a password."""

from __future__ import annotations

import socket
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import Engine

from elastic_images.accounts.accounts import Accounts
from elastic_images.accounts.passwords import new_password
from elastic_images.core.errors import Conflict, InvalidRequest
from elastic_images.settings import Settings
from elastic_images.settings.secret_files import keep_secret, read_secret

FIRST_NAME = "admin"
PASSWORD_FILE = "admin-password"  # noqa: S105 - a file's name
CLI_TOKEN_FILE = "cli-token"  # noqa: S105 - a file's name


@dataclass(frozen=True, slots=True)
class FirstAdministrator:
    """The administrator just created. `file` holds a generated password; None if the password was preset."""

    name: str
    password: str = field(repr=False)
    file: Path | None


def ensure_first_administrator(engine: Engine, settings: Settings) -> FirstAdministrator | None:
    """Create the user `admin` if there are no users, and the command line's token. Idempotent.

    The password is `settings.admin_password`, or generated and saved in DATA/admin-password (mode 600) before the user
    is created, so a crash cannot leave an administrator with an unknown password. The token is saved in DATA/cli-token
    (mode 600), and replaced when it is no longer valid.

    Returns:
        The new administrator, or None if there were users already.

    Raises:
        InvalidRequest: the preset password is too short.
        Unavailable: the database is not responding.
        OSError: the data folder cannot be written.
    """
    accounts = Accounts(engine, session_seconds=settings.session_hours * 3600.0)
    made = None if accounts.users.list() else _make_first(accounts, settings)
    _ensure_cli_token(accounts, settings.data / CLI_TOKEN_FILE)
    return made


def _make_first(accounts: Accounts, settings: Settings) -> FirstAdministrator | None:
    file = None if settings.admin_password else settings.data / PASSWORD_FILE
    password = settings.admin_password or new_password()
    if file is not None:
        keep_secret(file, password)
    try:
        accounts.users.add(FIRST_NAME, password, "admin")
    except Conflict:
        return None  # another machine's supervisor was first
    except InvalidRequest as error:
        raise InvalidRequest(f"ELASTIC_IMAGES_ADMIN_PASSWORD: {error}") from None
    return FirstAdministrator(FIRST_NAME, password, file)


def _ensure_cli_token(accounts: Accounts, file: Path) -> None:
    kept = read_secret(file)
    principal = accounts.tokens.find(kept) if kept else None
    if principal is not None and principal.is_admin:
        return
    owner = next(user for user in accounts.users.list() if user.role == "admin" and not user.disabled)
    label = f"command line on {socket.gethostname()}"[:100]
    _, secret = accounts.tokens.create(owner.name, label, ["admin"])
    keep_secret(file, secret)
