"""`mv` and `visibility`: changes of an image, or of all images below a prefix."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import click

from elastic_images.cli.connecting import web_options
from elastic_images.cli.options import json_option
from elastic_images.cli.outcomes import Outcome, report
from elastic_images.cli.progress import counted
from elastic_images.core.errors import ElasticImagesError
from elastic_images.core.visibility import VISIBILITIES, Visibility

if TYPE_CHECKING:
    from elastic_images.client import Client
    from elastic_images.client.batches import Operation

_AT_ONCE = 100
"""Operations in a request: few enough that progress is seen."""


@click.command()
@click.argument("key")
@click.argument("new_key")
@json_option
@web_options()
def mv(key: str, new_key: str, as_json: bool, client: Client) -> None:
    """Rename the image KEY to NEW_KEY, or every image below a prefix: `mv old/ new/`. Both then end in a slash.

    Nothing is replaced: an image whose new key is taken stays where it is. The old addresses are gone at once. To go on
    after an interruption, repeat the command.

    JSON: {"moved": [{"key", "to"}], "failed": [{"key", "to", "error", "detail"}]}
    """
    from elastic_images.client import Move

    if key.endswith("/") != new_key.endswith("/"):
        raise click.UsageError("To rename all images below a prefix, end both with a slash: old/ new/.")
    if key.endswith("/"):
        moves = [Move(image.key, new_key + image.key.removeprefix(key)) for image in client.iterate(key)]
        if new_key.startswith(key) or key.startswith(new_key):
            # An image may be in another one's way: the ends of such chains go first.
            moves.sort(key=lambda move: len(move.key), reverse=len(new_key) > len(key))
        outcomes = _carried_out(client, moves, "Renaming")
    else:
        subject = {"key": key, "to": new_key}
        outcomes = [_tried(subject, lambda: client.move(key, new_key))]
    report(outcomes, "moved", as_json, lambda value: f"{value['key']} -> {value['to']}")


@click.command()
@click.argument("key")
@click.argument("visibility", type=click.Choice(VISIBILITIES))
@json_option
@web_options()
def visibility(key: str, visibility: Visibility, as_json: bool, client: Client) -> None:
    """Say who may see the image KEY, or, if it ends in a slash, every image below that prefix.

    public: whoever has the address. members: whoever is logged in or has a token. private: its owner and
    administrators. Caches of this system obey at once. Copies at addresses with `v=` may live on where browsers and
    CDNs keep them.

    JSON: {"changed": [{"key", "visibility"}], "failed": [{"key", "visibility", "error", "detail"}]}
    """
    from elastic_images.client import SetVisibility

    if key.endswith("/"):
        others = [image.key for image in client.iterate(key) if image.visibility != visibility]
        changes = [SetVisibility(one, visibility) for one in others]
        outcomes = _carried_out(client, changes, "Changing")
    else:
        subject = {"key": key, "visibility": visibility}
        outcomes = [_tried(subject, lambda: client.set_visibility(key, visibility))]
    report(outcomes, "changed", as_json, lambda value: f"{value['key']}  {value['visibility']}")


def _tried(subject: dict[str, Any], change: Callable[[], object]) -> Outcome:
    try:
        change()
    except ElasticImagesError as error:
        return Outcome(subject, error=error)
    return Outcome(subject, subject)


def _carried_out(client: Client, operations: Sequence[Operation], label: str) -> list[Outcome]:
    def results() -> Iterator[Outcome]:
        for start in range(0, len(operations), _AT_ONCE):
            for result in client.batch(operations[start : start + _AT_ONCE]):
                subject = {name: value for name, value in result.operation.to_json().items() if name != "op"}
                yield Outcome(subject, None if result.error else subject, result.error)

    return list(counted(results(), label, lambda: len(operations)))
