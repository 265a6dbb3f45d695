"""`user` and `token` on a database of their own, and what they refuse."""

from __future__ import annotations

from pathlib import Path

import pytest
from testing.settings import make_settings
from tests.unit.cli.support import data_folder, run, run_json

from elastic_images.accounts.accounts import open_accounts

PASSWORD = "a good long password"


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder that was prepared as `up` does."""
    folder = data_folder(tmp_path, monkeypatch)
    prepared = run("prepare", ELASTIC_IMAGES_ADMIN_PASSWORD=PASSWORD)
    assert prepared.exit_code == 0, prepared.output
    return folder


def logs_in(data: Path, name: str, password: str) -> bool:
    from elastic_images.core.errors import Unauthenticated

    accounts = open_accounts(make_settings(data))
    try:
        accounts.log_in(name, password)
    except Unauthenticated:
        return False
    else:
        return True
    finally:
        accounts.close()


def test_preparing_is_safe_to_repeat(data: Path) -> None:
    assert run_json_line("prepare") == {"administrator": "admin", "first_start": False, "upgraded": None}
    assert logs_in(data, "admin", PASSWORD)
    assert (data / "cli-token").is_file()


def run_json_line(*words: str) -> object:
    import json

    return json.loads(run(*words).stdout)


def test_a_user_is_added_by_standard_input_or_environment(data: Path) -> None:
    assert run("user", "add", "ann", input=f"{PASSWORD}\n").exit_code == 0
    made = run_json("user", "add", "bob", "--role", "admin", ELASTIC_IMAGES_USER_PASSWORD=PASSWORD + "2")
    assert (made["name"], made["role"], made["disabled"]) == ("bob", "admin", False)
    assert set(made) == {"id", "name", "role", "disabled", "created_at"}
    assert logs_in(data, "ann", PASSWORD)
    assert logs_in(data, "bob", PASSWORD + "2")
    assert [user["name"] for user in run_json("user", "ls")["users"]] == ["admin", "ann", "bob"]
    assert "ann" in run("user", "ls").stdout


@pytest.mark.usefixtures("data")
def test_what_is_refused_has_its_exit_code() -> None:
    assert run("user", "add", "admin", input=f"{PASSWORD}\n").exit_code == 6
    assert run("user", "add", "a b", input=f"{PASSWORD}\n").exit_code == 2
    assert run("user", "add", "ann", input="short\n").exit_code == 2
    assert run("user", "add", "ann", input="").exit_code == 2
    assert run("user", "passwd", "nobody", input=f"{PASSWORD}\n").exit_code == 3
    assert run("user", "disable", "nobody").exit_code == 3
    assert run("user", "disable", "admin").exit_code == 6
    assert run("token", "create", "--user", "nobody").exit_code == 3
    assert run("token", "revoke", "12345").exit_code == 3
    assert run("token", "create", "--days", "0").exit_code == 2
    assert run("token", "create", "--scope", "everything").exit_code == 2


def test_a_password_is_never_an_argument() -> None:
    for words in (("user", "add"), ("user", "passwd")):
        assert "password " not in run(*words, "--help").stdout.partition("Options:")[2].lower().replace(
            "admin_password", ""
        )
        assert run(*words, "ann", PASSWORD).exit_code == 2


def test_passwd_and_disable(data: Path) -> None:
    run("user", "add", "ann", input=f"{PASSWORD}\n")
    assert run("user", "passwd", "ann", input=f"{PASSWORD} new\n").exit_code == 0
    assert not logs_in(data, "ann", PASSWORD)
    assert logs_in(data, "ann", f"{PASSWORD} new")
    assert run_json("user", "disable", "ann")["disabled"] is True
    assert not logs_in(data, "ann", f"{PASSWORD} new")


def test_a_token_is_printed_once_and_can_be_revoked(data: Path) -> None:
    secret = run("token", "create", "--name", "script", "--scope", "write", "--days", "2").stdout.strip()
    assert secret.startswith("ei_")
    listed = run_json("token", "ls", "--user", "admin")["tokens"]
    newest = listed[0]
    assert (newest["user"], newest["name"], newest["scopes"]) == ("admin", "script", ["read", "write"])
    assert newest["expires_at"] - newest["created_at"] == 2 * 86_400
    assert secret not in str(listed)
    assert secret not in run("token", "ls").stdout
    accounts = open_accounts(make_settings(data))
    assert accounts.of_token(secret) is not None
    assert run_json("token", "revoke", str(newest["id"]))["revoked_at"] is not None
    assert accounts.of_token(secret) is None
    accounts.close()


def test_json_of_a_new_token(data: Path) -> None:
    made = run_json("token", "create")
    assert made["scopes"] == ["read"]
    assert made["expires_at"] is None
    accounts = open_accounts(make_settings(data))
    principal = accounts.of_token(made["token"])
    accounts.close()
    assert principal is not None
    assert principal.name == "admin"


def test_nothing_is_made_where_no_system_was_started(tmp_path: Path) -> None:
    for words in (["user", "ls"], ["token", "ls"], ["fsck"]):
        result = run(*words, "--data", str(tmp_path / "mistyped"))
        assert result.exit_code == 3
        assert "No system was ever started" in result.stderr
    assert not (tmp_path / "mistyped").exists()


def test_a_database_that_does_not_answer(tmp_path: Path) -> None:
    result = run("user", "ls", "--data", str(tmp_path), ELASTIC_IMAGES_DATABASE="postgresql://u:hidden@127.0.0.1:1/n")
    assert result.exit_code == 5
    assert "hidden" not in result.output


def test_fsck_of_an_empty_system(data: Path) -> None:
    (data / "objects").mkdir(exist_ok=True)
    found = run_json("fsck")
    assert found["healthy"] is True
    assert found["images"] == 0
    assert "0 images" in run("fsck").stdout
