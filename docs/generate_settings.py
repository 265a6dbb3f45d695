"""Write the table in docs/settings.md from the settings themselves: `python docs/generate_settings.py`."""

from __future__ import annotations

from pathlib import Path

from elastic_images.settings.describe import table

PAGE = Path(__file__).parent / "settings.md"
START, END = "<!-- table -->\n", "<!-- end of table -->\n"


def page(written: str) -> str:
    """The page `written`, with its table made anew."""
    before, _, rest = written.partition(START)
    _, _, after = rest.partition(END)
    return f"{before}{START}{table()}{END}{after}"


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
