"""The settings as documentation."""

from __future__ import annotations

from elastic_images.settings.catalog import SETTINGS, Setting


def table() -> str:
    """All settings as a Markdown table."""
    lines = ["| setting | default | meaning |", "|---|---|---|"]
    lines += [_row(setting) for setting in SETTINGS if not setting.internal]
    return "\n".join(lines) + "\n"


def _row(setting: Setting) -> str:
    names = f"`{setting.environment}`" + (" or `..._FILE`" if setting.from_file else "")
    if setting.shown_default is not None:
        default = setting.shown_default
    else:
        default = "none" if setting.default in (None, "", ()) else f"`{setting.default}`"
    return f"| {names} | {default} | {setting.meaning}{' Secret.' if setting.secret else ''} |"
