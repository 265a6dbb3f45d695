"""The browser of all browser tests, and the system that they visit."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any

import pytest
from playwright.sync_api import Browser, StorageState, expect, sync_playwright
from testing.system import System, running
from tests.browser.browsing import CHROMIUM, WAIT_MS, Visit, launch, visit

ADMIN_PASSWORD = "a password for tests"
Visiting = Callable[..., AbstractContextManager[Visit]]


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """One browser for all tests; each visit has a profile of its own. Skips where there is none."""
    if CHROMIUM is None:
        pytest.skip("needs a browser: apt-get install chromium")
    expect.set_options(timeout=WAIT_MS)
    with sync_playwright() as playwright:
        found = launch(playwright)
        yield found
        found.close()


@pytest.fixture(scope="module")
def system(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:  # noqa: ARG001 - skips first
    """One system with two nodes, shared by the tests of a module. The administrator's password is `ADMIN_PASSWORD`."""
    with running(tmp_path_factory.mktemp("system"), admin_password=ADMIN_PASSWORD, nodes=2) as started:
        yield started


@pytest.fixture(scope="module")
def admin_state(browser: Browser, system: System) -> StorageState:
    """The administrator's cookies for both apps: `visiting("manager", storage_state=admin_state)` is logged in."""
    with visit(browser, system.url("manager")) as one:
        one.log_in("admin", ADMIN_PASSWORD)
        return one.context.storage_state()


@pytest.fixture
def visiting(browser: Browser, system: System) -> Visiting:
    """Opens visits to an app of the system: `with visiting("web", script=False) as one: ...` (see `browsing.visit`)."""

    def begin(app: str, **options: Any) -> AbstractContextManager[Visit]:
        return visit(browser, system.url(app), **options)

    return begin
