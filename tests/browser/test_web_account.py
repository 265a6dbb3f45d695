"""A person's account in a real browser, beginning with the password that the first start prints."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect
from testing.system import System, running
from tests.browser.browsing import visit
from tests.browser.conftest import Visiting

NEW_PASSWORD = "nobody knows this one"


@pytest.fixture(scope="module")
def system(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:  # noqa: ARG001 - skips first
    """A system whose administrator's password nobody chose."""
    with running(tmp_path_factory.mktemp("system"), nodes=1) as started:
        yield started


def printed(system: System, word: str) -> str:
    found = re.search(rf"{word}: (\S+)", system.log_path.read_text())
    assert found is not None
    return found[1]


def test_from_the_printed_password_to_ones_own(visiting: Visiting, browser: Browser, system: System) -> None:
    name, password = printed(system, "first administrator"), printed(system, "password")
    with visiting("web") as one, visit(browser, system.url()) as elsewhere:
        elsewhere.log_in(name, password)
        one.log_in(name, password)
        page = one.page
        page.get_by_role("link", name=name).click()
        expect(page.get_by_role("row", name="this session")).to_have_count(1)

        def change(current: str, new: str, again: str) -> None:
            page.get_by_label("Current password").fill(current)
            page.get_by_label("New password", exact=True).fill(new)
            page.get_by_label("Confirm new password").fill(again)
            page.get_by_role("button", name="Change password").click()

        one.forgive("status of 40[03]")
        change("not this one", NEW_PASSWORD, NEW_PASSWORD)
        expect(page.get_by_role("alert")).to_contain_text("current password is wrong")
        change(password, NEW_PASSWORD, NEW_PASSWORD + "?")
        expect(page.get_by_role("alert")).to_contain_text("The new passwords do not match")
        change(password, NEW_PASSWORD, NEW_PASSWORD)
        expect(page.get_by_role("status").filter(has_text="Password changed")).to_be_visible()
        expect(page.get_by_role("region", name="Sessions", exact=True).locator("tbody tr")).to_have_count(1)
        elsewhere.go("/account")
        expect(elsewhere.page.get_by_role("heading", name="Log in")).to_be_visible()
        page.get_by_role("button", name="Log out").click()
        expect(page.get_by_role("status").filter(has_text="You have logged out.")).to_be_visible()
        one.log_in(name, NEW_PASSWORD)
        expect(page.get_by_role("heading", name="Images", level=1)).to_be_visible()


def test_sessions_are_ended(visiting: Visiting) -> None:
    with visiting("web") as one, visiting("web") as other:
        other.log_in("admin", NEW_PASSWORD)
        one.log_in("admin", NEW_PASSWORD)
        page = one.go("/account")
        sessions = page.get_by_role("region", name="Sessions", exact=True)
        count = sessions.locator("tbody tr").count()
        expect(sessions).to_contain_text(re.compile(r"Chrome \d+ on Linux"))
        while sessions.get_by_role("button", name="Sign out").count():
            sessions.get_by_role("button", name="Sign out").first.click()
            expect(sessions.locator("tbody tr")).to_have_count(count := count - 1)
        other.go("/account")
        expect(other.page.get_by_role("heading", name="Log in")).to_be_visible()


def test_tokens_are_made_used_and_revoked(visiting: Visiting, system: System) -> None:
    with visiting("web") as one:
        one.context.grant_permissions(["clipboard-read", "clipboard-write"])
        one.log_in("admin", NEW_PASSWORD)
        page = one.go("/account")
        page.locator("#new-token").get_by_label("Name", exact=True).fill("<b>backup</b>")
        page.get_by_role("button", name="Create token").click()
        page.get_by_role("button", name="Copy").click()
        secret = page.locator("#secret").inner_text()
        page.wait_for_function("async (text) => (await navigator.clipboard.readText()) === text", arg=secret)
        assert system.client(secret).request("GET", "/api/images").status == 200
        assert system.client(secret).request("DELETE", "/api/images/x").status == 403
        page.reload()
        expect(page.locator("#secret")).to_have_count(0)
        row = page.get_by_role("region", name="API tokens").get_by_role("row", name="<b>backup</b>")
        row.get_by_role("button", name="Revoke").click()
        page.get_by_role("dialog").get_by_role("button", name="Revoke").click()
        expect(row).to_have_count(0)
        assert system.client(secret).request("GET", "/api/images").status == 401
