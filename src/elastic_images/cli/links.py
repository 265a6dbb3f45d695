"""`link` and `links key`: links that open one image until a time, and the keys that sign them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import click

from elastic_images.cli.connecting import web_api_options, web_options
from elastic_images.cli.options import json_option
from elastic_images.cli.output import moment, print_json, print_table

if TYPE_CHECKING:
    from elastic_images.client import Client
    from elastic_images.client.api import Api

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "": 1}
_DURATION = re.compile(r"([0-9]{1,9})([smhd]?)", re.ASCII)


class Duration(click.ParamType[int]):
    """A time such as 90s, 30m, 12h or 7d, in seconds."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Read it."""
        found = _DURATION.fullmatch(str(value))
        if found is None:
            self.fail(f"{value!r} is no time such as 90s, 30m, 12h or 7d.", param, ctx)
        return int(found[1]) * _UNITS[found[2]]


@click.command()
@click.argument("key")
@click.option("--for", "lasting", type=Duration(), default="7d", show_default=True, help="How long it is to work.")
@click.option("-p", "--param", "params", multiple=True, metavar="NAME=VALUE", help="Of a rendition: -p w=400.")
@json_option
@web_options()
def link(key: str, lasting: int, params: tuple[str, ...], as_json: bool, client: Client) -> None:
    """Print a link that opens the image KEY to whoever has it, for some time, in any size.

    It opens only what you may see, at the moment it is used, and is signed with a key of your account named "links".

    JSON: {"url", "expires_at"}
    """
    given: Any = dict(_pair(text) for text in params)
    made = client.link(key, lasting, **given)
    if as_json:
        print_json({"url": made.url, "expires_at": made.expires_at})
    else:
        click.echo(made.url)


@click.group()
def links() -> None:
    """Manage what signs links."""


@links.group("key")
def links_key() -> None:
    """Manage signing keys, with which your own programs make links (docs/links.md)."""


@links_key.command("create")
@click.option("--name", required=True, help="What the key is for.")
@click.option("--user", help="The key's owner. [default: the token's]")
@json_option
@web_api_options
def key_create(name: str, user: str | None, as_json: bool, api: Api) -> None:
    """Create a signing key. Its secret is shown only once. Needs a token with the scope admin.

    JSON: {"id", "user", "name", "created_at", "last_used_at", "revoked_at", "secret"}
    """
    _show(api.json("POST", "/api/signing-keys", {"name": name, "user": user}, only_unsent=True), as_json)


@links_key.command("list")
@click.option("--user", help="Only this user's keys.")
@json_option
@web_api_options
def key_list(user: str | None, as_json: bool, api: Api) -> None:
    """List signing keys, without their secrets.

    JSON: {"keys": [{"id", "user", "name", "created_at", "last_used_at", "revoked_at"}]}
    """
    found = api.get("/api/signing-keys", user=user)
    if as_json:
        print_json(found)
        return
    times = ("created_at", "last_used_at", "revoked_at")
    rows = [
        (*(key[part] for part in ("id", "user", "name")), *(moment(key[part]) for part in times))
        for key in found["keys"]
    ]
    print_table(("ID", "USER", "NAME", "CREATED (UTC)", "LAST USED", "REVOKED"), rows)


@links_key.command("rotate")
@click.argument("kid", metavar="ID")
@json_option
@web_api_options
def key_rotate(kid: str, as_json: bool, api: Api) -> None:
    """Replace the signing key with this ID by another one of the same name. Links of the old one end.

    JSON: as of `links key create`.
    """
    _show(api.json("POST", f"/api/signing-keys/{_checked(kid)}/rotate", only_unsent=True), as_json)


@links_key.command("revoke")
@click.argument("kid", metavar="ID")
@web_api_options
def key_revoke(kid: str, api: Api) -> None:
    """Revoke the signing key with this ID: its links open nothing from now on."""
    api.repeated(lambda: api.once("DELETE", f"/api/signing-keys/{_checked(kid)}"))
    click.echo(f"Revoked key {kid}.")


def _pair(text: str) -> tuple[str, str]:
    name, sign, value = text.partition("=")
    if not sign:
        raise click.UsageError(f"-p is NAME=VALUE, such as w=400, not {text!r}.")
    return name, value


def _checked(kid: str) -> str:
    if not re.fullmatch(r"[0-9a-f]{8}", kid, re.ASCII):
        raise click.UsageError("The ID of a signing key has 8 hexadecimal digits: see `links key list`.")
    return kid


def _show(made: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(made)
    else:
        click.echo(f"id      {made['id']}\nsecret  {made['secret']}")
