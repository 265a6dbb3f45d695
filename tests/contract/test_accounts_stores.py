"""Users, sessions, tokens and login limits, against every database."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest
from argon2 import PasswordHasher
from sqlalchemy import Engine, event, select
from testing.clock import Clock
from testing.settings import make_settings

from elastic_images.accounts.accounts import Accounts
from elastic_images.accounts.bootstrap import ensure_first_administrator
from elastic_images.accounts.digests import digest
from elastic_images.accounts.limits import LoginLimits
from elastic_images.accounts.passwords import Passwords
from elastic_images.accounts.principal import Credential
from elastic_images.accounts.signing_keys import MAX_KEYS, OWN_NAME
from elastic_images.accounts.tables import login_attempts, sessions, signing_keys, tokens, users
from elastic_images.core.errors import (
    Conflict,
    ElasticImagesError,
    Forbidden,
    InvalidRequest,
    NotFound,
    TooManyRequests,
    Unauthenticated,
    Unavailable,
)
from elastic_images.database.base import metadata
from elastic_images.database.engine import open_engine

FAST = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
TABLES = [login_attempts, signing_keys, tokens, sessions, users]
PASSWORD = "correct horse"
HOUR = 3600.0


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    engine = open_engine(database_url)
    metadata.drop_all(engine, tables=TABLES)
    metadata.create_all(engine, tables=TABLES)
    yield engine
    metadata.drop_all(engine, tables=TABLES)
    engine.dispose()


@pytest.fixture
def clock() -> Clock:
    return Clock(1_800_000_000.0)


@pytest.fixture
def accounts(engine: Engine, clock: Clock) -> Accounts:
    limits = LoginLimits(pair_failures=3, account_failures=6, address_failures=5, window_seconds=900)
    return Accounts(
        engine,
        session_seconds=HOUR,
        secret_key="the installation's",
        clock=clock,
        passwords=Passwords(FAST),
        limits=limits,
    )


def in_parallel(count: int, work: Callable[[int], object]) -> list[object]:
    """What `work` gave or raised in each of `count` threads that began together."""
    barrier = threading.Barrier(count)

    def run(number: int) -> object:
        barrier.wait()
        try:
            return work(number)
        except ElasticImagesError as error:
            return error

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(run, range(count)))


def test_users_are_added_listed_and_found(accounts: Accounts, clock: Clock) -> None:
    ann = accounts.users.add("Ann", PASSWORD)
    bob = accounts.users.add("bob", PASSWORD, "admin")
    assert (ann.name, ann.role, ann.disabled, ann.created_at) == ("Ann", "user", False, clock.now)
    assert accounts.users.list() == (ann, bob)
    assert accounts.users.get("ANN") == ann
    disable, enable = (partial(accounts.users.change, disabled=disabled) for disabled in (True, False))
    for call in (accounts.users.get, disable, enable, accounts.users.revoke_all):
        with pytest.raises(NotFound):
            call("nobody")


@pytest.mark.parametrize("name", ["ann", "ANN", "ａｎｎ"])
def test_a_name_is_taken_once(accounts: Accounts, name: str) -> None:
    accounts.users.add("Ann", PASSWORD)
    with pytest.raises(Conflict):
        accounts.users.add(name, PASSWORD)


def test_names_differ_by_more_than_a_collation_sees(accounts: Accounts) -> None:
    assert {accounts.users.add(name, PASSWORD).name for name in ("jose", "josé", "李雷")} == {"jose", "josé", "李雷"}


@pytest.mark.parametrize(
    ("name", "password", "role"), [("a b", PASSWORD, "user"), ("ann", "short", "user"), ("ann", PASSWORD, "god")]
)
def test_what_makes_no_user_changes_nothing(accounts: Accounts, name: str, password: str, role: str) -> None:
    with pytest.raises(InvalidRequest):
        accounts.users.add(name, password, role)
    assert accounts.users.list() == ()


def test_of_many_who_add_one_name_one_succeeds(accounts: Accounts) -> None:
    results = in_parallel(6, lambda _: accounts.users.add("ann", PASSWORD))
    assert sum(isinstance(result, Conflict) for result in results) == 5
    assert len(accounts.users.list()) == 1


def test_a_login_gives_a_session(accounts: Accounts, clock: Clock) -> None:
    ann = accounts.users.add("Ann", PASSWORD)
    new = accounts.log_in("ann", PASSWORD, address="10.0.0.1", user_agent="Browser\x00\n/1 " + "x" * 300)
    found = accounts.of_session(new.secret)
    assert found is not None
    session, principal = found
    assert (principal.user_id, principal.name, principal.via) == (ann.id, "Ann", "session")
    assert not principal.is_admin
    assert (session.address, len(session.user_agent)) == ("10.0.0.1", 255)
    assert session.user_agent.isprintable()
    assert session.expires_at == clock.now + HOUR
    assert accounts.sessions.list(ann.id) == (session,)


@pytest.mark.parametrize(
    ("name", "password"), [("ann", "wrong password"), ("nobody", PASSWORD), ("", ""), ("\ud800", "\ud800")]
)
def test_a_wrong_login_says_nothing_about_why(accounts: Accounts, name: str, password: str) -> None:
    accounts.users.add("ann", PASSWORD)
    with pytest.raises(Unauthenticated, match=r"^Wrong name or password\.$"):
        accounts.log_in(name, password)


def test_a_disabled_user_is_out_and_stays_out(accounts: Accounts) -> None:
    ann = accounts.users.add("ann", PASSWORD)
    session = accounts.log_in("ann", PASSWORD).secret
    _, token = accounts.tokens.create("ann", "script", ["read"])
    assert accounts.users.change("ann", disabled=True).disabled
    assert accounts.of_session(session) is None
    assert accounts.of_token(token) is None
    assert accounts.sessions.list(ann.id) == ()
    with pytest.raises(Unauthenticated, match="Wrong name or password"):
        accounts.log_in("ann", PASSWORD)
    with pytest.raises(Conflict):
        accounts.tokens.create("ann", "script", ["read"])
    assert not accounts.users.change("ann", disabled=False).disabled
    assert accounts.of_session(session) is None
    assert accounts.of_token(token) is None
    assert accounts.log_in("ann", PASSWORD)


def test_a_session_ends_with_its_time(accounts: Accounts, clock: Clock, engine: Engine) -> None:
    ann = accounts.users.add("ann", PASSWORD)
    first = accounts.log_in("ann", PASSWORD)
    clock.now += HOUR - 1
    assert accounts.of_session(first.secret) is not None
    clock.now += 1
    assert accounts.of_session(first.secret) is None
    assert accounts.sessions.list(ann.id) == ()
    accounts.log_in("ann", PASSWORD)
    with engine.begin() as connection:
        assert len(connection.execute(select(sessions)).all()) == 1, "sessions that are over are swept away"


def test_sessions_are_revoked_one_by_one_and_only_ones_own(accounts: Accounts) -> None:
    ann, bob = accounts.users.add("ann", PASSWORD), accounts.users.add("bob", PASSWORD)
    one, two = accounts.log_in("ann", PASSWORD), accounts.log_in("ann", PASSWORD)
    with pytest.raises(NotFound):
        accounts.sessions.revoke(one.session.id, bob.id)
    accounts.sessions.revoke(one.session.id, ann.id)
    assert accounts.of_session(one.secret) is None
    assert accounts.of_session(two.secret) is not None
    accounts.sessions.end(two.secret)
    accounts.sessions.end(two.secret)
    assert accounts.sessions.list(ann.id) == ()


def test_last_seen_is_noted_once_a_minute(accounts: Accounts, clock: Clock) -> None:
    ann = accounts.users.add("ann", PASSWORD)
    new = accounts.log_in("ann", PASSWORD)
    begun = clock.now
    clock.now += 59
    accounts.of_session(new.secret)
    assert accounts.sessions.list(ann.id)[0].last_seen_at == begun
    clock.now += 1
    accounts.of_session(new.secret)
    assert accounts.sessions.list(ann.id)[0].last_seen_at == begun + 60


def test_a_new_password_ends_all_sessions(accounts: Accounts) -> None:
    accounts.users.add("ann", PASSWORD)
    session = accounts.log_in("ann", PASSWORD).secret
    accounts.users.change("ann", password="battery staple")
    assert accounts.of_session(session) is None
    with pytest.raises(Unauthenticated):
        accounts.log_in("ann", PASSWORD)
    assert accounts.log_in("ann", "battery staple")


def test_revoke_all_ends_sessions_and_tokens_of_one_user(accounts: Accounts) -> None:
    for name in ("ann", "bob"):
        accounts.users.add(name, PASSWORD)
    kept = {
        name: (accounts.log_in(name, PASSWORD).secret, accounts.tokens.create(name, "s", ["read"])[1])
        for name in ("ann", "bob")
    }
    accounts.users.revoke_all("ann")
    assert [accounts.of_session(kept["ann"][0]), accounts.of_token(kept["ann"][1])] == [None, None]
    assert None not in [accounts.of_session(kept["bob"][0]), accounts.of_token(kept["bob"][1])]


def test_an_old_hash_is_renewed_at_login(accounts: Accounts, engine: Engine) -> None:
    accounts.users.add("ann", PASSWORD)
    stronger = PasswordHasher(time_cost=2, memory_cost=16, parallelism=1)
    later = Accounts(engine, session_seconds=HOUR, passwords=Passwords(stronger))
    later.log_in("ann", PASSWORD)
    with engine.begin() as connection:
        kept = connection.execute(select(users.c.password_hash)).scalar_one()
    assert kept.startswith("$argon2id$v=19$m=16,t=2,p=1$")
    assert later.log_in("ann", PASSWORD)


def test_the_last_administrator_stays(accounts: Accounts) -> None:
    accounts.users.add("root", PASSWORD, "admin")
    accounts.users.add("ann", PASSWORD)
    with pytest.raises(Conflict):
        accounts.users.change("root", disabled=True)
    with pytest.raises(Conflict):
        accounts.users.change("root", role="user")
    accounts.users.change("ann", role="admin")
    accounts.users.change("root", disabled=True)
    with pytest.raises(Conflict):
        accounts.users.change("ann", disabled=True)
    assert [user.disabled for user in accounts.users.list()] == [False, True]


def test_two_administrators_cannot_disable_each_other(accounts: Accounts) -> None:
    names = ("ann", "bob")
    for name in names:
        accounts.users.add(name, PASSWORD, "admin")
    for _ in range(5):
        results = in_parallel(2, lambda number: accounts.users.change(names[number], disabled=True))
        assert any(isinstance(result, Conflict) for result in results)
        assert [user.disabled for user in accounts.users.list()].count(False) == 1
        for name in names:
            accounts.users.change(name, disabled=False)


def test_a_token_is_shown_once_and_found(accounts: Accounts, clock: Clock, engine: Engine) -> None:
    ann = accounts.users.add("Ann", PASSWORD)
    token, secret = accounts.tokens.create("ann", "nightly backup", ["write"], expires_seconds=60)
    assert secret.startswith("ei_")
    assert len(secret) >= 46
    assert (token.user_id, token.user_name, token.label) == (ann.id, "Ann", "nightly backup")
    assert token.scopes == {"read", "write"}
    principal = accounts.of_token(secret)
    assert principal is not None
    assert (principal.name, principal.via) == ("Ann", "token")
    assert principal.scopes == {"read", "write"}
    with engine.begin() as connection:
        assert secret not in str(connection.execute(select(tokens)).all())
    clock.now += 60
    assert accounts.of_token(secret) is None
    assert not accounts.tokens.list()[0].is_active(clock.now)


@pytest.mark.parametrize("secret", ["", "ei_", "ei_nonsense", "nonsense", "ei_\udcff", "ei_" + "x" * 5000])
def test_what_is_no_token_is_nobodys(accounts: Accounts, secret: str) -> None:
    assert accounts.of_token(secret) is None
    assert accounts.of_session(secret) is None


def test_last_used_is_noted_lazily(accounts: Accounts, clock: Clock) -> None:
    accounts.users.add("ann", PASSWORD)
    _, secret = accounts.tokens.create("ann", "script", ["read"])
    assert accounts.tokens.list()[0].last_used_at is None
    first = clock.now
    for seconds, noted in ((0, first), (59, first), (1, first + 60)):
        clock.now += seconds
        accounts.of_token(secret)
        assert accounts.tokens.list()[0].last_used_at == noted


def test_a_token_has_no_more_than_the_role(accounts: Accounts) -> None:
    accounts.users.add("ann", PASSWORD)
    accounts.users.add("root", PASSWORD, "admin")
    with pytest.raises(Forbidden):
        accounts.tokens.create("ann", "greedy", ["read", "admin"])
    accounts.users.add("eve", PASSWORD, "admin")
    _, secret = accounts.tokens.create("eve", "script", ["admin"])
    found = accounts.of_token(secret)
    assert found is not None
    assert found.is_admin
    accounts.users.change("eve", role="user")
    found = accounts.of_token(secret)
    assert found is not None
    assert not found.is_admin
    assert found.scopes == {"read", "write"}


@pytest.mark.parametrize("scopes", [[], ["everything"], ["read", ""]])
def test_scopes_that_are_none(accounts: Accounts, scopes: list[str]) -> None:
    accounts.users.add("ann", PASSWORD)
    with pytest.raises(InvalidRequest):
        accounts.tokens.create("ann", "script", scopes)


@pytest.mark.parametrize("label", ["", "  ", "x" * 101, "a\nb"])
def test_labels_that_are_none(accounts: Accounts, label: str) -> None:
    accounts.users.add("ann", PASSWORD)
    with pytest.raises(InvalidRequest):
        accounts.tokens.create("ann", label, ["read"])


@pytest.mark.parametrize("seconds", [0, -1, float("nan"), float("inf"), 1e12])
def test_lifetimes_that_make_no_sense(accounts: Accounts, seconds: float) -> None:
    accounts.users.add("ann", PASSWORD)
    with pytest.raises(InvalidRequest):
        accounts.tokens.create("ann", "script", ["read"], expires_seconds=seconds)
    assert accounts.tokens.list() == ()


def test_tokens_are_listed_and_revoked(accounts: Accounts, clock: Clock) -> None:
    ann, bob = accounts.users.add("ann", PASSWORD), accounts.users.add("bob", PASSWORD)
    one, secret = accounts.tokens.create("ann", "one", ["read"])
    two, _ = accounts.tokens.create("bob", "two", ["read"])
    assert [token.label for token in accounts.tokens.list()] == ["two", "one"]
    assert accounts.tokens.list("ANN") == (one,)
    assert accounts.tokens.list("nobody") == ()
    with pytest.raises(NotFound):
        accounts.tokens.revoke(one.id, bob.id)
    with pytest.raises(NotFound):
        accounts.tokens.revoke(999_999)
    revoked_at = clock.now
    assert accounts.tokens.revoke(one.id, ann.id).revoked_at == revoked_at
    clock.now += 5
    assert accounts.tokens.revoke(one.id).revoked_at == revoked_at
    assert accounts.of_token(secret) is None
    assert accounts.tokens.list("bob") == (two,)


def fail(accounts: Accounts, name: str, address: str, times: int = 1, browser: str | None = None) -> None:
    for _ in range(times):
        with pytest.raises(Unauthenticated):
            accounts.log_in(name, "wrong password", address=address, browser=browser)


def test_too_many_failures_close_an_account_for_their_address_alone(accounts: Accounts, clock: Clock) -> None:
    accounts.users.add("ann", PASSWORD)
    fail(accounts, "ann", "10.0.0.1", 3)
    clock.now += 100.5
    with pytest.raises(TooManyRequests) as caught:
        accounts.log_in("ANN", PASSWORD, address="10.0.0.1")
    assert caught.value.retry_after_seconds == 800
    assert accounts.log_in("ann", PASSWORD, address="10.0.0.2")
    with pytest.raises(TooManyRequests):
        accounts.log_in("ann", PASSWORD, address="10.0.0.1")
    clock.now += 799.5
    assert accounts.log_in("ann", PASSWORD, address="10.0.0.1")


def test_an_account_closed_as_a_whole_lets_in_known_browsers_and_new_addresses(accounts: Accounts) -> None:
    accounts.users.add("ann", PASSWORD)
    accounts.users.add("bob", PASSWORD)
    fail(accounts, "bob", "10.0.0.9")
    for number in range(3):
        fail(accounts, "ann", f"10.0.0.{number}", 2)
    for address in ("10.0.0.0", "10.0.0.9"):
        with pytest.raises(TooManyRequests):
            accounts.log_in("ann", PASSWORD, address=address)
        assert accounts.log_in("ann", PASSWORD, address=address, browser="hers")
    assert accounts.log_in("ann", PASSWORD, address="10.0.0.8")
    assert accounts.log_in("bob", PASSWORD, address="10.0.0.9")


def test_a_known_browser_has_failures_of_its_own(accounts: Accounts, clock: Clock) -> None:
    accounts.users.add("ann", PASSWORD)
    fail(accounts, "ann", "10.0.0.1", 3, browser="stolen")
    with pytest.raises(TooManyRequests) as caught:
        accounts.log_in("ann", PASSWORD, address="10.0.0.2", browser="stolen")
    assert caught.value.retry_after_seconds == 900
    assert accounts.log_in("ann", PASSWORD, address="10.0.0.1", browser="hers")
    assert accounts.log_in("ann", PASSWORD, address="10.0.0.1")
    clock.now += 900
    fail(accounts, "ann", "10.0.0.1", 2, browser="stolen")
    assert accounts.log_in("ann", PASSWORD, address="10.0.0.1", browser="stolen")
    fail(accounts, "ann", "10.0.0.1", 2, browser="stolen")


def test_unknown_accounts_are_limited_alike(accounts: Accounts) -> None:
    fail(accounts, "nobody", "10.0.0.1", 3)
    with pytest.raises(TooManyRequests):
        accounts.log_in("nobody", "wrong password", address="10.0.0.1")


def test_a_flood_is_refused_without_the_databases_writer(accounts: Accounts, monkeypatch: pytest.MonkeyPatch) -> None:
    fail(accounts, "ann", "10.0.0.1", 3)
    monkeypatch.setattr(accounts._transactions, "write", None)
    with pytest.raises(TooManyRequests):
        accounts.log_in("ann", PASSWORD, address="10.0.0.1")


@pytest.mark.parametrize(
    ("addresses", "other"),
    [(["10.0.0.1"], "10.0.0.2"), (["2001:db8::1", "2001:db8::ffff:2"], "2001:db8:1::1"), (["", "unix:"], "10.0.0.2")],
)
def test_too_many_failures_close_an_address(accounts: Accounts, addresses: list[str], other: str) -> None:
    accounts.users.add("ann", PASSWORD)
    for number in range(5):
        with pytest.raises(Unauthenticated):
            accounts.log_in(f"user{number}", "wrong password", address=addresses[number % len(addresses)])
    with pytest.raises(TooManyRequests):
        accounts.log_in("ann", PASSWORD, address=addresses[-1])
    assert accounts.log_in("ann", PASSWORD, address=other)


def test_a_good_login_resets_account_with_address_and_does_not_count_for_the_address(accounts: Accounts) -> None:
    accounts.users.add("ann", PASSWORD)
    fail(accounts, "ann", "10.0.0.1", 2)
    for _ in range(20):
        accounts.log_in("ann", PASSWORD, address="10.0.0.1")
    fail(accounts, "ann", "10.0.0.1", 2)
    assert accounts.log_in("ann", PASSWORD, address="10.0.0.1")
    fail(accounts, "ann", "10.0.0.1")
    with pytest.raises(TooManyRequests):  # the fifth failure of the address
        accounts.log_in("ann", PASSWORD, address="10.0.0.1")


def test_attempts_at_once_do_not_slip_through(accounts: Accounts) -> None:
    accounts.users.add("ann", PASSWORD)
    results = in_parallel(8, lambda _: accounts.log_in("ann", "wrong password"))
    assert sum(isinstance(result, Unauthenticated) for result in results) <= 3
    assert {type(result) for result in results} <= {Unauthenticated, TooManyRequests, Unavailable}
    with pytest.raises(TooManyRequests):
        accounts.log_in("ann", PASSWORD)


def test_limits_hold_over_processes_and_restarts(accounts: Accounts, engine: Engine, clock: Clock) -> None:
    for _ in range(3):
        with pytest.raises(Unauthenticated):
            accounts.log_in("ann", "wrong password")
    limits = LoginLimits(pair_failures=3)
    other = Accounts(
        engine,
        session_seconds=HOUR,
        secret_key="the installation's",
        clock=clock,
        passwords=Passwords(FAST),
        limits=limits,
    )
    with pytest.raises(TooManyRequests):
        other.log_in("ann", "wrong password")


def test_the_first_administrator_is_made_once(engine: Engine, tmp_path: Path) -> None:
    settings = make_settings(data=tmp_path)
    made = ensure_first_administrator(engine, settings)
    assert made is not None
    assert made.file == tmp_path / "admin-password"
    assert made.file.read_text().strip() == made.password
    assert made.file.stat().st_mode & 0o777 == 0o600
    accounts = Accounts(engine, session_seconds=HOUR)
    assert accounts.log_in(made.name, made.password).principal.is_admin
    cli_token = tmp_path / "cli-token"
    first_token = cli_token.read_text().strip()
    assert cli_token.stat().st_mode & 0o777 == 0o600
    found = accounts.of_token(first_token)
    assert found is not None
    assert found.is_admin
    assert ensure_first_administrator(engine, settings) is None
    assert cli_token.read_text().strip() == first_token
    assert len(accounts.tokens.list()) == 1
    accounts.tokens.revoke(accounts.tokens.list()[0].id)
    assert ensure_first_administrator(engine, settings) is None
    assert accounts.of_token(cli_token.read_text().strip()) is not None


def test_the_first_administrators_password_can_be_preset(engine: Engine, tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="ADMIN_PASSWORD"):
        ensure_first_administrator(engine, make_settings(data=tmp_path, admin_password="short"))
    made = ensure_first_administrator(engine, make_settings(data=tmp_path, admin_password=PASSWORD))
    assert made is not None
    assert (made.name, made.password, made.file) == ("admin", PASSWORD, None)
    assert not (tmp_path / "admin-password").exists()


def test_supervisors_at_once_make_one_administrator(engine: Engine, tmp_path: Path) -> None:
    made = in_parallel(3, lambda n: ensure_first_administrator(engine, make_settings(data=tmp_path / str(n))))
    assert sum(result is not None for result in made) == 1
    accounts = Accounts(engine, session_seconds=HOUR)
    assert len(accounts.users.list()) == 1
    for number in range(3):
        assert accounts.of_token((tmp_path / str(number) / "cli-token").read_text().strip()) is not None


def test_no_secret_is_kept_or_shown(accounts: Accounts, engine: Engine, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    accounts.users.add("ann", PASSWORD)
    new = accounts.log_in("ann", PASSWORD)
    token, secret = accounts.tokens.create("ann", "script", ["read"])
    with pytest.raises(Unauthenticated):
        accounts.log_in("mistyped secret", "wrong password")
    shown = repr([new, token, accounts.users.list(), accounts.of_session(new.secret), accounts.of_token(secret)])
    with engine.begin() as connection:
        kept = str([connection.execute(select(table)).all() for table in TABLES])
    for hidden in (PASSWORD, new.secret, secret):
        assert hidden not in kept
        assert hidden not in shown
        assert hidden not in caplog.text
    for hidden in ("mistyped", "wrong password"):
        assert hidden not in caplog.text + kept
    assert new.session.form_token not in shown


def test_a_database_that_does_not_answer_is_unavailable(tmp_path: Path) -> None:
    engine = open_engine(f"sqlite:///{tmp_path}/missing/database.db")
    accounts = Accounts(engine, session_seconds=HOUR, passwords=Passwords(FAST))
    for call in (accounts.users.list, accounts.tokens.list, lambda: accounts.log_in("ann", PASSWORD)):
        with pytest.raises(Unavailable):
            call()
    engine.dispose()


def test_a_signing_keys_secret_is_shown_once_and_kept_nowhere(accounts: Accounts, engine: Engine) -> None:
    ann = accounts.users.add("Ann", PASSWORD)
    key, secret = accounts.signing_keys.create("ann", " backend ")
    assert (len(key.kid), key.user_name, key.name, key.revoked_at) == (8, "Ann", "backend", None)
    assert len(secret) == 43
    found = accounts.signing_keys.find(key.kid)
    assert found is not None
    assert (found.kid, found.secret) == (key.kid, secret)
    assert found.upload_secret not in ("", secret)
    assert (found.principal.user_id, found.principal.via) == (ann.id, "link")
    assert found.principal.scopes == {"read", "write"}
    assert secret not in repr(found)
    assert found.upload_secret not in repr(found)
    with engine.begin() as connection:
        assert secret not in str(connection.execute(select(signing_keys)).all())
    assert accounts.signing_keys.create("ann", "backend")[1] != secret
    other = Accounts(engine, session_seconds=HOUR, secret_key="another").signing_keys.find(key.kid)
    assert other is not None
    assert other.secret != secret
    for unknown in ("00000000", "", key.kid.upper() + "x", "\x00"):
        assert accounts.signing_keys.find(unknown) is None


def test_a_signing_key_speaks_for_its_account_as_it_is_now(accounts: Accounts) -> None:
    for name in ("ann", "root"):
        accounts.users.add(name, PASSWORD, "admin")
    kid = accounts.signing_keys.create("ann", "backend")[0].kid
    found = accounts.signing_keys.find(kid)
    assert found is not None
    assert found.principal.is_admin
    accounts.users.change("ann", role="user")
    found = accounts.signing_keys.find(kid)
    assert found is not None
    assert not found.principal.is_admin
    accounts.users.change("ann", disabled=True)
    assert accounts.signing_keys.find(kid) is None
    for call in (accounts.signing_keys.own, partial(accounts.signing_keys.create, name="more")):
        with pytest.raises(Conflict):
            call("ann")
    accounts.users.change("ann", disabled=False)
    assert accounts.signing_keys.find(kid) is None


def test_signing_keys_are_listed_rotated_and_revoked(accounts: Accounts, clock: Clock) -> None:
    ann, bob = accounts.users.add("ann", PASSWORD), accounts.users.add("bob", PASSWORD)
    keys = accounts.signing_keys
    one, secret = keys.create("ann", "backend")
    clock.now += 1
    two, _ = keys.create("bob", "frontend")
    assert keys.list() == (two, one)
    assert keys.list("ANN") == (one,)
    for call in (keys.rotate, keys.revoke):
        for kid, owner in ((one.kid, bob.id), ("00000000", None)):
            with pytest.raises(NotFound):
                call(kid, owner)
    clock.now += 1
    new, new_secret = keys.rotate(one.kid, ann.id)
    assert (new.name, new.user_id, new.created_at) == ("backend", ann.id, clock.now)
    assert new.kid != one.kid
    assert new_secret != secret
    assert keys.find(one.kid) is None
    assert keys.find(new.kid) is not None
    assert [key.revoked_at for key in keys.list("ann")] == [None, clock.now]
    with pytest.raises(NotFound, match="create another"):
        keys.rotate(one.kid)
    revoked_at = clock.now
    assert keys.revoke(new.kid, ann.id).revoked_at == revoked_at
    clock.now += 1
    assert keys.revoke(new.kid).revoked_at == revoked_at
    assert keys.find(new.kid) is None
    accounts.users.revoke_all("bob")
    assert keys.find(two.kid) is None


def test_the_key_for_links_made_here_is_made_once(accounts: Accounts) -> None:
    accounts.users.add("ann", PASSWORD)
    found = {getattr(one, "kid", one) for one in in_parallel(4, lambda _: accounts.signing_keys.own("ann"))}
    assert len(found) == 1
    (key,) = accounts.signing_keys.list("ann")
    assert (key.kid, key.name) == (found.pop(), OWN_NAME)
    accounts.signing_keys.revoke(key.kid)
    assert accounts.signing_keys.own("ann").kid != key.kid


def test_a_user_has_a_bounded_number_of_signing_keys(accounts: Accounts, clock: Clock) -> None:
    accounts.users.add("ann", PASSWORD)
    keys = [accounts.signing_keys.create("ann", f"key {number}")[0] for number in range(MAX_KEYS)]
    with pytest.raises(Conflict, match="revoke one"):
        accounts.signing_keys.create("ann", "one more")
    for _ in range(60):
        clock.now += 1
        keys[0] = accounts.signing_keys.rotate(keys[0].kid)[0]
    kept = accounts.signing_keys.list("ann")
    assert sum(key.revoked_at is None for key in kept) == MAX_KEYS
    assert len(kept) <= MAX_KEYS + 51
    assert {key.kid for key in keys} < {key.kid for key in kept}
    with pytest.raises(InvalidRequest, match="A key's name"):
        accounts.signing_keys.create("ann", "a\nb")


def test_the_last_use_of_a_signing_key_is_noted_lazily(accounts: Accounts, clock: Clock) -> None:
    accounts.users.add("ann", PASSWORD)
    kid, first = accounts.signing_keys.own("ann").kid, clock.now
    for seconds, noted in ((0, first), (59, first), (1, first + 60)):
        clock.now += seconds
        found = accounts.signing_keys.find(kid)
        assert found is not None
        accounts.signing_keys.note_use(found)
        assert accounts.signing_keys.list()[0].last_used_at == noted


# --- many at once


def test_many_are_found_at_once_and_their_uses_are_written_in_one_transaction(
    accounts: Accounts, engine: Engine, clock: Clock
) -> None:
    accounts.users.add("Ann", PASSWORD, "user")
    made = [accounts.tokens.create("Ann", "test", ["read"], expires_seconds=50 * (number + 1)) for number in range(3)]
    session = accounts.sessions.start(accounts.users.get("Ann").id)
    accounts.tokens.revoke(made[1][0].id)
    asked = [Credential("token", digest(secret)) for _, secret in made] + [
        Credential("session", digest(session.secret))
    ]
    found = accounts.of_credentials([*asked, Credential("token", "x"), Credential("session", asked[0].digest)])
    assert set(found) == {asked[0], asked[2], asked[3]}
    assert found[asked[0]] == accounts.of_token(made[0][1])
    assert found[asked[3]] == session.principal
    assert accounts.of_credentials([]) == {}

    clock.now += 60
    updates: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_more: object) -> None:
        if statement.startswith("UPDATE"):
            updates.append(statement)

    event.listen(engine, "before_cursor_execute", note)
    assert set(accounts.of_credentials(asked * 300)) == {asked[2], asked[3]}
    clock.now += 1
    accounts.write_uses()
    accounts.write_uses()
    event.remove(engine, "before_cursor_execute", note)
    assert len(updates) <= 3, "the first of a table at once, the others together"
    used = {token.id: token.last_used_at for token in accounts.tokens.list()}
    assert used[made[2][0].id] in (clock.now, clock.now - 1)
    assert accounts.sessions.list(session.session.user_id)[0].last_seen_at in (clock.now, clock.now - 1)


def test_what_takes_rights_away_is_told_once_it_holds(accounts: Accounts) -> None:
    accounts.users.add("Root", PASSWORD, "admin")
    accounts.users.add("Ann", PASSWORD, "user")
    ann = accounts.users.get("Ann")
    token, secret = accounts.tokens.create("Ann", "test", ["read"])
    session = accounts.sessions.start(ann.id)
    key, _ = accounts.signing_keys.create("Ann", "test")
    told: list[bool] = []
    accounts.when_revoked(lambda: told.append(accounts.of_token(secret) is None))
    accounts.sessions.end(session.secret)
    accounts.sessions.revoke(accounts.sessions.start(ann.id).session.id, ann.id)
    accounts.signing_keys.revoke(accounts.signing_keys.rotate(key.kid)[0].kid)
    assert told == [False] * 4
    accounts.tokens.revoke(token.id)
    accounts.users.change("Ann", role="user")
    accounts.users.revoke_all("Ann")
    assert told == [False] * 4 + [True] * 3
