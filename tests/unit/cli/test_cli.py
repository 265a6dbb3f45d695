"""The command line as a whole: help, exit codes, options."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import click
import pytest
from tests.unit.cli.support import run

from elastic_images.cli import EXIT_CODES, main
from elastic_images.cli.errors import exit_code_of
from elastic_images.core import errors
from elastic_images.core.errors import ElasticImagesError
from elastic_images.process.ports import PortTaken
from elastic_images.settings import SETTINGS


def commands(
    command: click.Command = main, words: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    if isinstance(command, click.Group):
        for name, one in command.commands.items():
            yield from commands(one, (*words, name))
    else:
        yield words, command


COMMANDS = [pytest.param(words, command, id=" ".join(words)) for words, command in commands()]


@pytest.mark.parametrize(("words", "command"), COMMANDS)
def test_every_command_has_help_that_is_enough(words: tuple[str, ...], command: click.Command) -> None:
    result = run(*words, "--help")
    assert result.exit_code == 0
    assert len(result.stdout.splitlines()) > 6 or command.hidden
    for option in command.params:
        assert not isinstance(option, click.Option) or option.help or option.name in ("role", "help"), option.name
    documented = "JSON:" in (command.help or "")
    assert documented == any(option.name == "as_json" for option in command.params)


def test_the_commands_are_those_that_were_promised() -> None:
    found = {" ".join(words) for words, _ in commands()}
    assert found == {
        *(
            "up",
            "serve",
            "imaging",
            "reload",
            "prepare",
            "upload",
            "get",
            "ls",
            "rm",
            "link",
            "mv",
            "visibility",
            "import",
            "export",
            "fsck",
            "scrub",
            "migrate",
            "doctor",
            "version",
        ),
        *("pool status", "pool scale", "pool mode", "pool config"),
        *("user add", "user passwd", "user ls", "user disable"),
        *("token create", "token ls", "token revoke"),
        *("backup create", "backup verify", "backup ls", "restore"),
        *("store adopt", "store status"),
        *("links key create", "links key list", "links key rotate", "links key revoke"),
        *("trash ls", "trash restore", "trash purge"),
        *("aws alarms", "aws dashboard", "aws nodes", "aws push", "aws terminate-nodes"),
    }


def test_up_takes_every_setting_but_secrets() -> None:
    flags = {name for option in main.commands["up"].params for name in option.opts}
    for setting in SETTINGS:
        assert (setting.flag in flags) == (not setting.secret and not setting.internal), setting.name
        assert (f"{setting.flag}-file" in flags) == setting.from_file, setting.name


def test_the_version_is_printed() -> None:
    assert run("--version").stdout.startswith("elastic-images, version 0.")


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ElasticImagesError("x"), 1),
        (errors.OutOfSpace("x"), 1),
        (errors.InvalidRequest("x"), 2),
        (errors.InvalidKey("x"), 2),
        (errors.NotFound("x"), 3),
        (errors.Unauthenticated("x"), 4),
        (errors.Forbidden("x"), 4),
        (errors.Unavailable("x"), 5),
        (errors.TooManyRequests("x"), 5),
        (errors.Conflict("x"), 6),
        (errors.PreconditionFailed("x"), 6),
        (PortTaken("127.0.0.1", 1), 6),
        (errors.NotAnImage("x"), 7),
        (errors.BrokenImage("x"), 7),
        (errors.TooLarge("x"), 7),
        (errors.EmptyBody("x"), 7),
    ],
)
def test_each_error_has_its_exit_code(error: ElasticImagesError, code: int) -> None:
    assert exit_code_of(error) == code
    assert f"\n  {code}  " in EXIT_CODES


def test_a_setting_that_makes_no_sense_is_wrong_usage() -> None:
    result = run("ls", "--port-offset", "abc")
    assert result.exit_code == 2
    assert result.stderr.startswith("elastic-images: --port-offset must be")
    assert run("no-such-command").exit_code == 2
    assert run("ls", "--config", "/no/such/file.toml").exit_code == 2


def test_help_and_nodes_load_nothing_heavy() -> None:
    program = (
        "import sys; import elastic_images.cli; "
        "heavy = {'sqlalchemy', 'alembic', 'PIL', 'argon2', 'boto3', 'flask', 'granian', 'urllib3'}; "
        "heavy &= set(sys.modules); "
        "sys.exit(str(sorted(heavy)) if heavy else 0)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_a_reader_that_has_seen_enough_is_no_error() -> None:
    shell = f"{sys.executable} -m elastic_images up --help | head -n 1; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", shell], capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert done.stderr == ""
