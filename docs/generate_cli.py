"""Write docs/cli.md from the command line itself: `python docs/generate_cli.py`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click

from elastic_images.cli import main as cli

PAGE = Path(__file__).parent / "cli.md"
INTRODUCTION = """# The command line

Written by `docs/generate_cli.py` from `elastic-images --help`; do not edit. Every command has `--help` of its own.
"""
WIDTH = 100


def page() -> str:
    """The whole page."""
    return "\n".join([INTRODUCTION, *_sections(cli, None)])


def _sections(command: click.Command, parent: click.Context | None) -> Iterator[str]:
    name = "elastic-images" if parent is None else command.name
    settings = {**command.context_settings, "max_content_width": WIDTH, "terminal_width": WIDTH}
    with click.Context(command, info_name=name, parent=parent, **settings) as context:
        yield f"## `{context.command_path}`\n\n```text\n{command.get_help(context).rstrip()}\n```\n"
        if isinstance(command, click.Group):
            for sub_name in command.list_commands(context):
                found = command.get_command(context, sub_name)
                if found is not None and not found.hidden:
                    yield from _sections(found, context)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
