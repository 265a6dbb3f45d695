"""Command-line options generated from the table of settings."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from elastic_images.settings import SETTINGS, Setting, Settings

Command = TypeVar("Command", bound=Callable[..., Any])


def settings_options(*names: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Options for the named settings (default: all) and `--config`. The command gets `settings`."""
    chosen = [setting for setting in SETTINGS if not setting.internal and (not names or setting.name in names)]
    taken = [name for setting in chosen for name in _parameters(setting)]

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(command)
        def run(*args: Any, config: str | None, **given: Any) -> Any:
            flags = {name: given.pop(name) for name in taken}
            settings = Settings.load(flags, file=Path(config) if config else None)
            return command(*args, settings=settings, **given)

        wrapped: Callable[..., Any] = click.option(
            "--config", metavar="FILE", help="Settings file. [default: elastic-images.toml, if it exists]"
        )(run)
        for setting in reversed(chosen):
            wrapped = _with_options(setting, wrapped)
        return wrapped

    return decorate


def json_option(command: Command) -> Command:
    """`--json`."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON, for scripts.")(command)


def _parameters(setting: Setting) -> list[str]:
    return ([] if setting.secret else [setting.name]) + ([f"{setting.name}_file"] if setting.from_file else [])


def _with_options(setting: Setting, command: Callable[..., Any]) -> Callable[..., Any]:
    meaning = setting.meaning.replace("`", "")
    default = setting.shown_default or ("" if setting.default is None else str(setting.default))
    if setting.from_file:
        command = click.option(f"{setting.flag}-file", metavar="FILE", help=f"File that holds {setting.environment}.")(
            command
        )
    if setting.secret:
        return command
    return click.option(setting.flag, help=f"{meaning} [default: {default.replace('`', '')}]")(command)
