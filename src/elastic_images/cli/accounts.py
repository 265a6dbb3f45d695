"""`user` and `token`. They work on the database directly, so the system need not be running."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from elastic_images.cli.options import json_option, settings_options
from elastic_images.cli.output import moment, print_json, print_table
from elastic_images.settings import Settings

if TYPE_CHECKING:
    from elastic_images.accounts.accounts import Accounts
    from elastic_images.accounts.tokens import Token

PASSWORD_VARIABLE = "ELASTIC_IMAGES_USER_PASSWORD"  # noqa: S105  (a name)
_database_options = settings_options("data", "database")
_DAY_SECONDS = 86_400.0


@click.group()
def user() -> None:
    """Manage user accounts."""


@user.command("add")
@click.argument("name")
@click.option("--role", type=click.Choice(["user", "admin"]), default="user", show_default=True)
@json_option
@_database_options
def user_add(name: str, role: str, as_json: bool, settings: Settings) -> None:
    """Create the user NAME.

    The password comes from ELASTIC_IMAGES_USER_PASSWORD if set. Otherwise it is prompted for on a terminal, or read
    from the first line of standard input.

    JSON: {"id", "name", "role", "disabled", "created_at"}
    """
    with _accounts(settings) as accounts:
        made = accounts.users.add(name, _new_password(), role)
    _print(asdict(made), as_json, f"Created user {made.name}.")


@user.command("passwd")
@click.argument("name")
@json_option
@_database_options
def user_passwd(name: str, as_json: bool, settings: Settings) -> None:
    """Change the password of the user NAME and end their sessions. The password is read as for `user add`.

    JSON: {"id", "name", "role", "disabled", "created_at"}
    """
    with _accounts(settings) as accounts:
        accounts.users.get(name)  # fail before asking for a password
        changed = accounts.users.change(name, password=_new_password())
    _print(asdict(changed), as_json, f"Changed the password of {changed.name}.")


@user.command("ls")
@json_option
@_database_options
def user_ls(as_json: bool, settings: Settings) -> None:
    """List users.

    JSON: {"users": [{"id", "name", "role", "disabled", "created_at"}]}
    """
    with _accounts(settings) as accounts:
        users = accounts.users.list()
    if as_json:
        print_json({"users": [asdict(one) for one in users]})
        return
    rows = [(one.name, one.role, "disabled" if one.disabled else "", moment(one.created_at)) for one in users]
    print_table(("NAME", "ROLE", "STATE", "CREATED (UTC)"), rows)


@user.command("disable")
@click.argument("name")
@json_option
@_database_options
def user_disable(name: str, as_json: bool, settings: Settings) -> None:
    """Disable the user NAME: end their sessions, revoke their tokens and signing keys. Their images stay.

    JSON: {"id", "name", "role", "disabled", "created_at"}
    """
    with _accounts(settings) as accounts:
        changed = accounts.users.change(name, disabled=True)
    _print(asdict(changed), as_json, f"Disabled user {changed.name}.")


@click.group()
def token() -> None:
    """Manage API tokens."""


@token.command("create")
@click.option("--user", "user_name", default="admin", show_default=True, help="The token's owner.")
@click.option("--name", "label", default="script", show_default=True, help="What the token is for.")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    type=click.Choice(["read", "write", "admin"]),
    default=("read",),
    show_default=True,
    help="What the token allows; may be repeated. write includes read, admin includes both.",
)
@click.option("--days", type=click.FloatRange(min=0, min_open=True), help="Days until it expires. [default: never]")
@json_option
@_database_options
def token_create(
    user_name: str, label: str, scopes: tuple[str, ...], days: float | None, as_json: bool, settings: Settings
) -> None:
    """Create an API token and print it. It is shown only once, because only its hash is stored.

    JSON: {"id", "user", "name", "scopes", "created_at", "expires_at", "last_used_at", "revoked_at", "token"}
    """
    with _accounts(settings) as accounts:
        expires_seconds = None if days is None else days * _DAY_SECONDS
        made, secret = accounts.tokens.create(user_name, label, scopes, expires_seconds)
    _print(_token_json(made) | {"token": secret}, as_json, secret)


@token.command("ls")
@click.option("--user", "user_name", help="Only this user's tokens.")
@json_option
@_database_options
def token_ls(user_name: str | None, as_json: bool, settings: Settings) -> None:
    """List API tokens, without their secrets.

    JSON: {"tokens": [{"id", "user", "name", "scopes", "created_at", "expires_at", "last_used_at", "revoked_at"}]}
    """
    with _accounts(settings) as accounts:
        tokens = [_token_json(one) for one in accounts.tokens.list(user_name)]
    if as_json:
        print_json({"tokens": tokens})
        return
    print_table(
        ("ID", "USER", "NAME", "SCOPES", "CREATED (UTC)", "LAST USED", "EXPIRES", "REVOKED"),
        [
            (
                *(one[name] for name in ("id", "user", "name")),
                " ".join(one["scopes"]),
                *(moment(one[name]) for name in ("created_at", "last_used_at", "expires_at", "revoked_at")),
            )
            for one in tokens
        ],
    )


@token.command("revoke")
@click.argument("token_id", metavar="ID", type=int)
@json_option
@_database_options
def token_revoke(token_id: int, as_json: bool, settings: Settings) -> None:
    """Revoke the API token with this ID, as shown by `token ls`.

    JSON: as an entry of `token ls`.
    """
    with _accounts(settings) as accounts:
        revoked = accounts.tokens.revoke(token_id)
    _print(_token_json(revoked), as_json, f"Revoked token {revoked.id}.")


@contextlib.contextmanager
def _accounts(settings: Settings) -> Iterator[Accounts]:
    from elastic_images.accounts.accounts import open_accounts
    from elastic_images.cli.existing_system import require_system

    require_system(settings)
    accounts = open_accounts(settings)
    try:
        yield accounts
    finally:
        accounts.close()


def _new_password() -> str:
    """Read a password. Never from an argument, which every user of the machine could see."""
    found = os.environ.get(PASSWORD_VARIABLE)
    if found:
        return found
    if sys.stdin.isatty():
        return str(click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True))
    return sys.stdin.readline().rstrip("\r\n")


def _token_json(one: Token) -> dict[str, Any]:
    return {
        "id": one.id,
        "user": one.user_name,
        "name": one.label,
        "scopes": sorted(one.scopes),
        "created_at": one.created_at,
        "expires_at": one.expires_at,
        "last_used_at": one.last_used_at,
        "revoked_at": one.revoked_at,
    }


def _print(value: dict[str, Any], as_json: bool, line: str) -> None:
    if as_json:
        print_json(value)
    else:
        click.echo(line)
