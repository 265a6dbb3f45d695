"""The documentation is true as far as a machine can tell: its links, commands, routes, figures and lists."""

from __future__ import annotations

import importlib.util
import os
import re
import shlex
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest.mock import MagicMock

import click
import pytest
from testing.settings import make_settings

from elastic_images.cli import main
from elastic_images.manager.app import ManagerServices
from elastic_images.manager.app import create_app as manager_app
from elastic_images.web.openapi import openapi_document

ROOT = Path(__file__).resolve().parents[3]
PAGES = sorted(
    [
        *(ROOT / "README.md", ROOT / "CHANGELOG.md", ROOT / "CONTRIBUTING.md"),
        *(page for place in ("docs/**/*.md", "deploy/**/*.md", "src/**/README.md") for page in ROOT.glob(place)),
    ]
)
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
SHELL_BLOCK = re.compile(r"^```(?:sh|bash|console)\n(.*?)^```", re.MULTILINE | re.DOTALL)
TABLE_ROW = re.compile(r"^\| ([A-Za-z0-9_.-]+) \|", re.MULTILINE)


def load(path: Path) -> ModuleType:
    """A script of the documentation as a module."""
    spec = importlib.util.spec_from_file_location(f"docs_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page: Path) -> None:
    for target in LINK.findall(page.read_text(encoding="utf-8")):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        linked = (page.parent / path).resolve() if path else page
        assert linked.exists(), f"{name_of(page)} links to {target}"
        if anchor:
            assert anchor in anchors(linked), f"{name_of(page)} links to {target}"


def shell_commands(page: Path) -> Iterator[list[str]]:
    for block in SHELL_BLOCK.findall(page.read_text(encoding="utf-8")):
        for line in block.replace("\\\n", " ").splitlines():
            for command in re.findall(r"(?:^|\$\(|\| )((?:\./|elastic-images)[^)|]*)", line):
                yield shlex.split(command, comments=True)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_shell_commands_exist(page: Path) -> None:
    for command in shell_commands(page):
        if command[0] == "elastic-images":
            check_cli(command[1:])
        else:
            assert os.access(ROOT / command[0], os.X_OK), f"{command[0]} cannot be executed"
            if command[0] == "./run_main.sh":
                check_cli(["up", *command[1:]])


def test_the_readme_has_the_two_commands_and_first_steps() -> None:
    commands = [shlex.join(command) for command in shell_commands(ROOT / "README.md")]
    assert commands[:2] == ["./run_main.sh", "./run_tests.sh"]
    assert len([command for command in commands if command.startswith("elastic-images ")]) >= 6


def check_cli(words: list[str]) -> None:
    """Every sub-command and every option among `words` is one that the command line has."""
    command: click.Command = main
    options = option_names(main)
    for word in words:
        if word.startswith("-"):
            assert word.partition("=")[0] in options, f"elastic-images {shlex.join(words)}: no option {word}"
        elif isinstance(command, click.Group):
            found = command.commands.get(word)
            assert found is not None, f"elastic-images {shlex.join(words)}: no command {word}"
            command = found
            options |= option_names(command)


def option_names(command: click.Command) -> set[str]:
    names = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}
    return names | {"--help", "-h"}


def test_the_page_of_settings_is_the_current_one() -> None:
    generator = load(ROOT / "docs" / "generate_settings.py")
    written = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    assert written == generator.page(written), "run: python docs/generate_settings.py"


def test_every_command_is_documented_as_it_is() -> None:
    generator = load(ROOT / "docs" / "generate_cli.py")
    written = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    assert written == generator.page(), "run: python docs/generate_cli.py"


def test_every_route_of_the_api_is_documented() -> None:
    documented = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    for path, methods in openapi_document()["paths"].items():
        for method in methods.keys() & {"get", "head", "put", "post", "delete", "patch"}:
            route = f"`{method.upper()} {path.replace('{', '<').replace('}', '>')}"
            assert re.search(re.escape(route) + r"[?`]", documented), f"docs/api.md lacks {route}`"


def test_every_route_of_the_managers_api_is_documented(tmp_path: Path) -> None:
    nothing: Any = MagicMock()  # the routes are listed, not called
    services = ManagerServices(nothing, nothing, nothing, nothing)
    app = manager_app(services, make_settings(data=tmp_path))
    paths = {re.sub(r"<(?:\w+:)?(\w+)>", r"<\1>", rule.rule) for rule in app.url_map.iter_rules()}
    documented = (ROOT / "src" / "elastic_images" / "manager" / "README.md").read_text(encoding="utf-8")
    for path in sorted(path for path in paths if path.startswith("/api/")):
        shown = path.replace("<session_id>", "<id>").replace("<token_id>", "<id>")
        assert re.search(rf"`(?:[A-Z]+ )?{re.escape(shown)}[?`]", documented), f"the manager's README lacks {shown}"


def test_the_figures_are_as_drawn() -> None:
    figures = load(ROOT / "docs" / "figures" / "draw.py").figures()
    for name, content in figures.items():
        written = (ROOT / "docs" / "figures" / name).read_text(encoding="utf-8")
        assert written == content, "run: python docs/figures/draw.py"


def test_every_dependency_has_its_reason() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project.get("optional-dependencies", {})
    requirements = [*project["dependencies"], *(line for lines in extras.values() for line in lines)]
    packages = {re.match(r"[A-Za-z0-9_.-]+", line)[0].lower() for line in requirements}  # type: ignore[index]
    rows = TABLE_ROW.findall((ROOT / "docs" / "dependencies.md").read_text(encoding="utf-8"))
    assert packages - {"elastic-images"} == {row.lower() for row in rows} - {"package"}


def test_every_room_with_an_app_has_a_readme() -> None:
    for room in ("web", "storage", "autoscaler", "manager", "memcache"):
        assert (ROOT / "src" / "elastic_images" / room / "README.md").is_file(), room


def test_the_architecture_names_every_room_and_only_files_that_exist() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    package = ROOT / "src" / "elastic_images"
    rooms = {init.parent.name for init in package.glob("*/__init__.py")}
    assert set(re.findall(r"^\| \[`(\w+)`\]", page, re.MULTILINE)) == rooms
    named = re.findall(r"`([a-z0-9_/]+/[a-z0-9_.]+)`", page.partition("## Where to change something")[2])
    assert len(named) > 10
    assert [path for path in named if not (package / path).is_file()] == []


def test_every_decision_is_in_the_index() -> None:
    folder = ROOT / "docs" / "decisions"
    index = (folder / "README.md").read_text(encoding="utf-8")
    pages = {page.name for page in folder.glob("*.md")} - {"README.md"}
    assert pages
    assert set(re.findall(r"\]\(([a-z-]+\.md)\)", index)) == pages


def test_the_recipes_for_contributors_name_only_what_exists() -> None:
    page = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    named = re.findall(r"`([a-z0-9_]+/[a-z0-9_./]*)`", page)
    assert len(named) > 15
    assert [
        path for path in named if not any((top / path).exists() for top in (ROOT, ROOT / "src/elastic_images"))
    ] == []
