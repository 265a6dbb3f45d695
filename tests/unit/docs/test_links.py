"""The code in docs/links.md makes the links of the vectors."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[3]
VECTORS: list[dict[str, Any]] = json.loads((ROOT / "tests/vectors/links.json").read_text(encoding="utf-8"))["links"]
NODE = """
import { readFileSync } from "node:fs";
const made = JSON.parse(readFileSync(0)).map((one) => signedUrl("", one.key, one.params, one.exp, one.kid, one.secret));
console.log(JSON.stringify(made));
"""
PHP = """
$made = [];
foreach (json_decode(file_get_contents("php://stdin"), true) as $one) {
    $made[] = signed_url("", $one["key"], $one["params"], $one["exp"], $one["kid"], $one["secret"]);
}
echo json_encode($made);
"""


def snippet(language: str) -> str:
    """The code in that language."""
    text = (ROOT / "docs" / "links.md").read_text(encoding="utf-8")
    (found,) = re.findall(rf"^```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    assert len(found.splitlines()) <= 12
    return str(found)


def made_by(program: str, package: str, file: Path, links: list[dict[str, Any]]) -> list[str]:
    command = shutil.which(program)
    if command is None:
        pytest.skip(f"needs {program} (Debian package {package})")
    done = subprocess.run(
        [command, str(file)], input=json.dumps(links).encode(), capture_output=True, check=True, timeout=120
    )
    found: list[str] = json.loads(done.stdout)
    return found


def addresses(links: list[dict[str, Any]]) -> list[str]:
    return [str(link["address"]) for link in links]


def test_python_signs_as_the_vectors() -> None:
    names: dict[str, Any] = {}
    exec(snippet("python"), names)  # noqa: S102 - our own documentation
    arguments = ("key", "params", "exp", "kid", "secret")
    assert [names["signed_url"]("", *(link[name] for name in arguments)) for link in VECTORS] == addresses(VECTORS)


def test_node_signs_as_the_vectors(tmp_path: Path) -> None:
    file = tmp_path / "sign.mjs"
    file.write_text(snippet("js") + NODE, encoding="utf-8")
    assert made_by("node", "nodejs", file, VECTORS) == addresses(VECTORS)


def test_php_signs_as_the_vectors(tmp_path: Path) -> None:
    file = tmp_path / "sign.php"
    file.write_text(f"<?php\n{snippet('php')}{PHP}", encoding="utf-8")
    in_nfc = [link for link in VECTORS if "NFD" not in link["name"]]  # without the extension intl
    assert made_by("php", "php-cli", file, in_nfc) == addresses(in_nfc)
