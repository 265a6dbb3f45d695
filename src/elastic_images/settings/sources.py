"""Resolves settings: the first of flag, environment, file and default that has a value."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from elastic_images.core.errors import InvalidRequest
from elastic_images.settings.definitions import PREFIX, SETTINGS, Setting

SOURCES_VARIABLE = PREFIX + "SOURCES"
"""Tells a child process, as JSON, where its parent got each value from."""


_OTHER_VARIABLES = frozenset(
    PREFIX + name
    for name in (
        "CONFIG",
        "SOURCES",
        "URL",
        "MANAGER_URL",
        "TOKEN",
        "USER_PASSWORD",
        "TEST_SERVICES",
        "TO_DATABASE",
        "TO_OBJECT_STORE",
    )
)
"""Our variables that are not settings; see docs/settings.md."""


def unknown_variables(environ: Mapping[str, str]) -> list[str]:
    """Variables that look like settings but are not: probably typos."""
    known = {PREFIX + name.upper() for setting in SETTINGS for name in _names(setting)} | _OTHER_VARIABLES
    return sorted(name for name in environ if name.startswith(PREFIX) and name not in known)


def read_file(file: Path) -> dict[str, Any]:
    """The raw settings in a TOML file.

    Raises:
        InvalidRequest: the file cannot be read, is not TOML, or has a key that is not a setting.
    """
    try:
        values = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InvalidRequest(f"The settings in {file} cannot be read: {error}") from error
    known = {name for setting in SETTINGS if not setting.internal for name in _names(setting)}
    unknown = sorted(values.keys() - known)
    if unknown:
        raise InvalidRequest(f"{file}: unknown setting {', '.join(unknown)}. docs/settings.md lists all settings.")
    return values


def resolve(
    flags: Mapping[str, Any], environ: Mapping[str, str], file: Path | None
) -> tuple[dict[str, Any], dict[str, str]]:
    """Every setting's value and its source: `flag`, `environment`, `file`, `default`.

    An empty variable, or a flag that is None, counts as not set.

    Raises:
        InvalidRequest: the message names the setting and what is wrong with it.
    """
    inherited = json.loads(environ.get(SOURCES_VARIABLE) or "null")
    in_file = read_file(file) if file is not None and inherited is None else {}
    in_environ = {
        name: environ[PREFIX + name.upper()]
        for setting in SETTINGS
        for name in _names(setting)
        if environ.get(PREFIX + name.upper())
    }
    unknown = sorted(flags.keys() - {name for setting in SETTINGS for name in _names(setting)})
    if unknown:
        raise InvalidRequest(f"Unknown setting {', '.join(unknown)}.")
    given = {name: value for name, value in flags.items() if value is not None}
    values: dict[str, Any] = {}
    sources: dict[str, str] = {}
    for setting in SETTINGS:
        source, value = "default", None
        for source, holder in (("flag", given), ("environment", in_environ), ("file", in_file)):
            value = _find(setting, source, holder)
            if value is not None:
                break
        else:
            source, value = "default", setting.default_for(values)
        values[setting.name] = value
        sources[setting.name] = source if source == "flag" or not inherited else inherited.get(setting.name, source)
    return values, sources


def _names(setting: Setting) -> tuple[str, ...]:
    return (setting.name, setting.name + "_file") if setting.from_file else (setting.name,)


def _spelled(name: str, source: str) -> str:
    return {"flag": "--" + name.replace("_", "-"), "environment": PREFIX + name.upper()}.get(source, name)


def _find(setting: Setting, source: str, holder: Mapping[str, Any]) -> Any:
    """The setting's value in one source, or None."""
    name, file_name = setting.name, setting.name + "_file"
    if setting.from_file and file_name in holder:
        if name in holder:
            raise InvalidRequest(f"Set {_spelled(name, source)} or {_spelled(file_name, source)}, not both.")
        return _read_value(setting, _content(_spelled(file_name, source), str(holder[file_name])), source)
    if name not in holder:
        return None
    return _read_value(setting, holder[name], source)


def _content(shown: str, file: str) -> str:
    try:
        return Path(file).expanduser().read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidRequest(f"{shown}: {file} cannot be read: {error}") from error


def _read_value(setting: Setting, value: Any, source: str) -> Any:
    try:
        return setting.read(value)
    except ValueError as error:
        # Never echo a secret, nor a database URL, which may hold a password.
        shown = "" if setting.secret or setting.from_file else f", not {value!r}"
        raise InvalidRequest(f"{_spelled(setting.name, source)} must be {error}{shown}.") from None
