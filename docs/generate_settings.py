"""Write the table in docs/settings.md from the settings themselves: `python docs/generate_settings.py`."""

from __future__ import annotations

from pathlib import Path

from elastic_images.settings import SETTINGS, Setting

PAGE = Path(__file__).parent / "settings.md"
START, END = "<!-- table -->\n", "<!-- end of table -->\n"


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


def page(written: str) -> str:
    """The page `written`, with its table made anew."""
    before, _, rest = written.partition(START)
    _, _, after = rest.partition(END)
    return f"{before}{START}{table()}{END}{after}"


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
