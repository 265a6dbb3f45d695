"""Embed the boot script and the files it writes in system.yaml: `python deploy/aws/embed.py`.

CloudFormation needs one file; people and tools prefer several. A test compares the two.
"""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TEMPLATE = ROOT / "deploy" / "aws" / "system.yaml"
_INDENT = 8
_BEGIN = "# <boot>\n"
_END = " " * (_INDENT - 2) + "# </boot>\n"


def boot_script() -> str:
    """`boot`, with each line `@FILE@` replaced by that file."""
    boot = (ROOT / "deploy" / "aws" / "boot").read_text(encoding="utf-8")
    return re.sub(r"^@(.+)@\n", lambda found: (ROOT / found[1]).read_text(encoding="utf-8"), boot, flags=re.MULTILINE)


def embedded(template: str) -> str:
    """The template with the current boot script."""
    head, _, rest = template.partition(_BEGIN)
    _, _, tail = rest.partition(_END)
    lines = "".join(" " * _INDENT + line if line.strip() else line for line in boot_script().splitlines(keepends=True))
    return f"{head}{_BEGIN}{' ' * (_INDENT - 2)}Text: |\n{lines}{_END}{tail}"


def main() -> None:
    """Rewrite the template."""
    TEMPLATE.write_text(embedded(TEMPLATE.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
