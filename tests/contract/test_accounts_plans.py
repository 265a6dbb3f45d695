"""What the accounts' statements read, on every database: what is asked at each request goes by an index."""

from __future__ import annotations

from argon2 import PasswordHasher
from sqlalchemy import Engine, insert
from testing.clock import Clock
from testing.query_plans import explained, gather_statistics, whole_table_reads

from elastic_images.accounts.accounts import Accounts
from elastic_images.accounts.passwords import Passwords
from elastic_images.accounts.tables import login_attempts, sessions, signing_keys, tokens, users

MANY = 2000
PASSWORD = "a good long password"
FAST = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)


def fill(engine: Engine, now: float) -> None:
    numbers = range(1, MANY + 1)
    user = {"password_hash": "x" * 90, "role": "user", "disabled": False, "created_at": now}
    session = {"form_token": "x" * 64, "created_at": now, "last_seen_at": now, "address": "", "user_agent": "x" * 80}
    token = {"label": "script", "scopes": "read", "created_at": now}
    with engine.begin() as connection:
        connection.execute(
            insert(users), [user | {"id": 10 + n, "name": f"u{n}", "folded_name": f"u{n}"} for n in numbers]
        )
        connection.execute(
            insert(sessions),
            [session | {"digest": f"{n:064x}", "user_id": 10 + n, "expires_at": now + 1000 + n} for n in numbers],
        )
        connection.execute(insert(tokens), [token | {"digest": f"{n:064x}", "user_id": 10 + n} for n in numbers])
        key = {"salt": "x" * 32, "name": "backend", "created_at": now}
        connection.execute(insert(signing_keys), [key | {"kid": f"{n:08x}", "user_id": 10 + n} for n in numbers])
        connection.execute(
            insert(login_attempts), [{"subject": f"s{n}", "attempts": 1, "window_started_at": now} for n in numbers]
        )
    gather_statistics(engine, "users", "sessions", "tokens", "signing_keys", "login_attempts")


def test_what_is_asked_at_each_request_goes_by_an_index(engine: Engine) -> None:
    clock = Clock()
    accounts = Accounts(engine, session_seconds=3600, secret_key="x", clock=clock, passwords=Passwords(FAST))
    accounts.users.add("Ann", PASSWORD)
    fill(engine, clock.now)

    def everything() -> None:
        session = accounts.log_in("Ann", PASSWORD, address="127.0.0.1")
        accounts.of_session(session.secret)
        accounts.sessions.list(1)
        token, secret = accounts.tokens.create("Ann", "script", ["read"])
        accounts.of_token(secret)
        accounts.tokens.list("Ann")
        accounts.tokens.revoke(token.id)
        key, _ = accounts.signing_keys.create("Ann", "backend")
        accounts.signing_keys.note_use(accounts.signing_keys.own("Ann"))
        accounts.signing_keys.find(key.kid)
        accounts.signing_keys.list("Ann")
        accounts.signing_keys.rotate(key.kid)
        accounts.users.get("Ann")
        accounts.sessions.end(session.secret)

    plans = explained(engine, everything)
    assert len(plans) > 15
    whole = whole_table_reads(engine, plans)
    assert not whole, "\n".join(whole)
