"""Settings: where a value comes from, what is refused, what is never shown."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path

import pytest
from testing.settings import make_settings

from elastic_images.core.errors import InvalidRequest
from elastic_images.core.redact import hide_password
from elastic_images.settings import SETTINGS, Settings
from elastic_images.settings.definitions import PREFIX
from elastic_images.settings.model import forget_environment
from elastic_images.settings.secret_files import keep_secret, read_or_make_secret
from elastic_images.settings.sources import unknown_variables


def load(
    flags: Mapping[str, object] | None = None, environ: Mapping[str, str] | None = None, file: Path | None = None
) -> Settings:
    return Settings.load(flags, environ or {}, file)


@pytest.fixture
def toml(tmp_path: Path) -> Path:
    file = tmp_path / "settings.toml"
    file.write_text('nodes = 3\nallowed_hosts = ["a.example", "b.example"]\nserve_stale = 1.5\n')
    return file


def test_flag_beats_environment_beats_file_beats_default(toml: Path) -> None:
    flags, environ = {"nodes": "5"}, {"ELASTIC_IMAGES_NODES": "4"}
    assert load().nodes == 1
    assert load(file=toml).nodes == 3
    assert load(environ=environ, file=toml).nodes == 4
    assert load(flags, environ, toml).nodes == 5
    sources = [load().sources, load(file=toml).sources, load(environ=environ, file=toml).sources]
    sources.append(load(flags, environ, toml).sources)
    assert [source["nodes"] for source in sources] == ["default", "file", "environment", "flag"]


def test_an_empty_variable_and_a_missing_flag_are_not_set(toml: Path) -> None:
    assert load({"nodes": None}, {"ELASTIC_IMAGES_NODES": ""}, toml).nodes == 3


def test_the_file_in_the_current_folder_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert load().nodes == 1
    (tmp_path / "elastic-images.toml").write_text("nodes = 2\n")
    assert load().nodes == 2
    (tmp_path / "other.toml").write_text("nodes = 6\n")
    assert load(environ={"ELASTIC_IMAGES_CONFIG": "other.toml"}).nodes == 6


def test_lists_are_written_with_commas_or_as_an_array(toml: Path) -> None:
    assert load(file=toml).allowed_hosts == ("a.example", "b.example")
    assert load(environ={"ELASTIC_IMAGES_ALLOWED_HOSTS": "a.example, b.example,"}).allowed_hosts == (
        "a.example",
        "b.example",
    )


def test_defaults_follow_other_settings(tmp_path: Path) -> None:
    settings = load({"data": str(tmp_path), "port_offset": "100"})
    assert settings.object_store == f"{tmp_path.as_uri()}/objects"
    assert settings.database == f"sqlite:///{tmp_path}/elastic-images.db"
    assert settings.storage_urls == ("http://127.0.0.1:5101",)
    assert settings.autoscaler_url == "http://127.0.0.1:5102"
    assert [settings.port(app) for app in ("web", "storage", "autoscaler", "manager")] == [5100, 5101, 5102, 5103]
    assert [settings.port("memcache", slot) for slot in (0, 7)] == [4100, 4107]


def test_the_data_folder_is_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert load().data == tmp_path / "data"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("nodes", "0"),
        ("nodes", "9"),
        ("nodes", "nan"),
        ("nodes", "abc"),
        ("nodes", "1.5"),
        ("nodes", "-1"),
        ("serve_stale", "nan"),
        ("serve_stale", "inf"),
        ("serve_stale", "-1"),
        ("serve_stale", "soon"),
        ("anonymous", "everyone"),
        ("port_offset", "5"),
        ("port_offset", "1000"),
        ("max_image_bytes", "0"),
        ("cache_mb", "-64"),
        ("metrics", "somewhere"),
        ("object_store", "/just/a/path"),
        ("object_store", "ftp://host/path"),
        ("database", "oracle://host/name"),
        ("node_provider", "gcp://x"),
        ("storage_urls", "http://"),
        ("storage_urls", "storage:5001"),
        ("autoscaler_url", "http://host:70000"),
        ("host", "  "),
    ],
)
def test_a_value_that_makes_no_sense_is_refused_by_name(name: str, value: str) -> None:
    with pytest.raises(InvalidRequest, match=f"^{PREFIX}{name.upper()} must be"):
        load(environ={PREFIX + name.upper(): value})
    flag = "--" + name.replace("_", "-")
    with pytest.raises(InvalidRequest, match=f"^{flag} must be"):
        load({name: value})


@pytest.mark.parametrize("text", ["nodes = nan\n", "nodes = true\n", 'nodes = ["1"]\n', "serve_stale = false\n"])
def test_a_file_with_a_wrong_type_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "bad.toml"
    file.write_text(text)
    with pytest.raises(InvalidRequest, match="must be"):
        load(file=file)


def test_an_unknown_name_in_the_file_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "bad.toml"
    file.write_text('nodes = 2\nobjectstore = "file:///x"\n')
    with pytest.raises(InvalidRequest, match="unknown setting objectstore"):
        load(file=file)


@pytest.mark.parametrize("content", [b"nodes = ", b"\xff\xfe"])
def test_a_file_that_is_no_toml_is_refused(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "bad.toml"
    file.write_bytes(content)
    with pytest.raises(InvalidRequest, match=r"bad\.toml cannot be read"):
        load(file=file)
    with pytest.raises(InvalidRequest, match="cannot be read"):
        load(file=tmp_path / "missing.toml")


def test_a_secret_may_be_in_a_file(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("hidden password\n")
    environ = {"ELASTIC_IMAGES_ADMIN_PASSWORD_FILE": str(file)}
    assert load(environ=environ).admin_password == "hidden password"
    assert load({"admin_password_file": str(file)}).admin_password == "hidden password"
    with pytest.raises(InvalidRequest, match="not both"):
        load(environ={**environ, "ELASTIC_IMAGES_ADMIN_PASSWORD": "x"})
    with pytest.raises(InvalidRequest, match=r"ADMIN_PASSWORD_FILE: .*missing cannot be read"):
        load(environ={"ELASTIC_IMAGES_ADMIN_PASSWORD_FILE": str(tmp_path / "missing")})


def test_secrets_are_made_once_and_are_for_their_owner_only(tmp_path: Path) -> None:
    flags = {"data": str(tmp_path / "data")}
    assert load(flags).internal_token == ""
    assert not (tmp_path / "data").exists(), "loading makes nothing"
    made = load(flags).with_secrets()
    assert len(made.internal_token) == 64
    assert made.internal_token != made.secret_key
    assert (load(flags).internal_token, load(flags).secret_key) == (made.internal_token, made.secret_key)
    for name in ("internal-token", "secret-key"):
        assert stat.S_IMODE((tmp_path / "data" / name).stat().st_mode) == 0o600


def test_a_secret_that_was_given_is_not_replaced(tmp_path: Path) -> None:
    settings = load({"data": str(tmp_path)}, {"ELASTIC_IMAGES_INTERNAL_TOKEN": "given"}).with_secrets()
    assert settings.internal_token == "given"
    assert not (tmp_path / "internal-token").exists()


def test_whoever_is_first_makes_the_secret(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    keep_secret(file, "first", replace=False)
    keep_secret(file, "second", replace=False)
    assert read_or_make_secret(file) == "first"
    keep_secret(file, "third")
    assert read_or_make_secret(file) == "third"
    assert [path.name for path in tmp_path.iterdir()] == ["secret"]


def test_a_child_process_gets_the_same_settings(tmp_path: Path, toml: Path) -> None:
    flags = {"data": str(tmp_path / "data"), "advertise": "10.0.0.1"}
    parent = load(flags, {"ELASTIC_IMAGES_ADMIN_PASSWORD": "p"}, toml).with_secrets()
    environ = parent.to_environ({"PATH": "/bin", "ELASTIC_IMAGES_NODES": "8", "ELASTIC_IMAGES_OLD": "x"})
    child = Settings.load({}, environ)
    assert environ["PATH"] == "/bin"
    assert "ELASTIC_IMAGES_OLD" not in environ
    assert child.admin_password is None, "only the preparing process is given it"
    assert child.sources == parent.sources
    assert child.nodes == 3
    for setting in SETTINGS:
        if setting.name != "admin_password":
            assert getattr(child, setting.name) == getattr(parent, setting.name), setting.name


def test_no_secret_is_shown() -> None:
    settings = load(
        {},
        {
            "ELASTIC_IMAGES_DATABASE": "mysql://user:hidden-1@host/name?ssl_password=hidden-2",
            "ELASTIC_IMAGES_ADMIN_PASSWORD": "hidden-3",
            "ELASTIC_IMAGES_INTERNAL_TOKEN": "hidden-4",
            "ELASTIC_IMAGES_SECRET_KEY": "hidden-5",
            "ELASTIC_IMAGES_STORAGE_URLS": "http://user:hidden-6@host:5001",
        },
    )
    shown = f"{settings!r} {settings} {settings.public()} {settings.warnings()}"
    assert "hidden" not in shown
    assert settings.public()["database"]["value"].startswith("mysql://user:***@host/name")
    assert settings.public()["secret_key"] == {"value": "set", "source": "environment"}


def test_a_wrong_database_url_is_refused_without_its_password() -> None:
    with pytest.raises(InvalidRequest) as caught:
        load(environ={"ELASTIC_IMAGES_DATABASE": "oracle://user:hidden@host/name"})
    assert "hidden" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("mysql+pymysql://u:p@h:3306/db", "mysql+pymysql://u:***@h:3306/db"),
        ("postgres://u@h/db", "postgres://u@h/db"),
        ("s3://bucket/prefix?endpoint=http://k:s@h", "s3://bucket/prefix?endpoint=http://k:***@h"),
        ("see http://a:b@c/d and http://e/f", "see http://a:***@c/d and http://e/f"),
        ("sqlite:////data/x.db", "sqlite:////data/x.db"),
    ],
)
def test_a_url_is_shown_without_its_password(text: str, shown: str) -> None:
    assert hide_password(text) == shown


@pytest.mark.parametrize("mode", ["write", "admin"])
def test_an_open_system_warns_loudly(mode: str) -> None:
    (warning,) = load({"anonymous": mode}).warnings()
    assert "this machine" in warning
    (warning,) = load({"anonymous": mode, "host": "0.0.0.0"}).warnings()
    assert "every machine that reaches 0.0.0.0" in warning
    assert load({"anonymous": "read", "host": "0.0.0.0"}).warnings() == ()


@pytest.mark.parametrize("mode", ["write", "admin"])
def test_an_open_system_is_for_this_machine_unless_its_host_was_set_by_hand(
    mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from elastic_images.settings import model, sources

    real = sources.resolve

    def with_open_default(*args: object) -> tuple[dict[str, object], dict[str, str]]:
        values, found = real(*args)  # type: ignore[arg-type]
        return ({**values, "host": "0.0.0.0"} if found["host"] == "default" else values), found

    monkeypatch.setattr(model, "resolve", with_open_default)
    with pytest.raises(InvalidRequest, match="set ELASTIC_IMAGES_HOST explicitly"):
        load({"anonymous": mode})
    assert load({"anonymous": mode, "host": "0.0.0.0"}).host == "0.0.0.0"
    assert load({"anonymous": "read"}).host == "0.0.0.0"


def test_a_password_on_the_command_line_is_warned_of() -> None:
    (warning,) = load({"database": "mysql://u:p@h/n"}).warnings()
    assert "--database" in warning
    assert load(environ={"ELASTIC_IMAGES_DATABASE": "mysql://u:p@h/n"}).warnings() == ()


def test_settings_leave_the_environment_once_they_are_read() -> None:
    environ = {"ELASTIC_IMAGES_SECRET_KEY": "x", "ELASTIC_IMAGES_NODES": "1", "PATH": "/bin"}
    forget_environment(environ)
    assert environ == {"PATH": "/bin"}


def test_a_variable_that_is_no_setting_is_noticed() -> None:
    environ = {"ELASTIC_IMAGES_OBJECTSTORE": "x", "ELASTIC_IMAGES_NODES": "1", "ELASTIC_IMAGES_TOKEN": "x", "PATH": "x"}
    environ |= {"ELASTIC_IMAGES_SECRET_KEY_FILE": "x", **load().to_environ({})}
    assert unknown_variables(environ) == ["ELASTIC_IMAGES_OBJECTSTORE"]


def test_every_setting_is_a_field_and_is_documented() -> None:
    fields = set(Settings.__dataclass_fields__) - {"sources"}
    assert {setting.name for setting in SETTINGS} == fields
    page = (Path(__file__).parents[3] / "docs" / "settings.md").read_text(encoding="utf-8")
    for setting in SETTINGS:
        assert setting.internal or f"`{setting.environment}`" in page, setting.name


def test_settings_for_tests_read_no_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(os.environ, "ELASTIC_IMAGES_NODES", "8")
    settings = make_settings(data=tmp_path, retention_days=1)
    assert (settings.nodes, settings.retention_days) == (1, 1)
    assert settings.internal_token
