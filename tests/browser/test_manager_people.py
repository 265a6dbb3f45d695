"""People and rights in a real browser; and every page with axe, on a phone, by keyboard, and without a script."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, StorageState, expect
from testing.system import System
from tests.browser.browsing import PHONE, Scheme, Visit
from tests.browser.conftest import ADMIN_PASSWORD, Visiting

PASSWORD = "correct horse"
PAGES = (
    "/",
    "/charts",
    "/pool",
    "/events",
    "/decisions",
    "/resizes",
    "/images",
    "/users",
    "/users/admin",
    "/tokens",
    "/account",
    "/settings",
    "/nowhere",
)


@pytest.fixture
def admin(visiting: Visiting, admin_state: StorageState) -> Iterator[Visit]:
    """The administrator, logged in."""
    with visiting("manager", storage_state=admin_state) as one:
        yield one


def see_notice(page: Page, words: str) -> None:
    expect(page.locator("main > .notice").filter(has_text=words)).to_be_visible()


def create(admin: Visit, name: str, role: str = "user") -> str:
    """Make a user; his password."""
    page = admin.go("/users")
    page.get_by_label("Name").fill(name)
    page.get_by_label("Role").select_option(role)
    page.get_by_role("button", name="Create").click()
    password = page.locator("#secret").text_content()
    assert password
    return password


def agree(page: Page) -> None:
    page.get_by_role("dialog").locator("button[value=yes]").click()


# ---- every page


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(visiting: Visiting, admin_state: StorageState, scheme: Scheme) -> None:
    with visiting("manager", scheme=scheme) as one:
        one.go("/login")
        one.check_accessibility()
    with visiting("manager", storage_state=admin_state, scheme=scheme) as one:
        one.forgive("404")
        for path in PAGES:
            one.go(path)
            one.check_accessibility()


def test_no_page_is_wider_than_a_phone(visiting: Visiting, admin_state: StorageState) -> None:
    long = "a-user-with-a-name-of-sixty-four-characters-which-is-the-longest"
    assert len(long) == 64
    with visiting("manager", storage_state=admin_state, size=PHONE) as one:
        one.forgive("404")
        create(one, long)
        for path in (*PAGES, f"/users/{long}"):
            page = one.go(path)
            assert page.evaluate("document.documentElement.scrollWidth") <= PHONE[0], path
        one.check_accessibility()
        page.get_by_role("button", name="Menu").click()
        expect(page.get_by_role("navigation", name="Main")).to_be_visible()
        one.check_accessibility()
        page.get_by_role("link", name="Tokens", exact=True).click()
        expect(page).to_have_url(f"{one.url}/tokens")


def test_the_choice_of_colours_is_kept_and_set_before_the_first_paint(admin: Visit) -> None:
    page = admin.go("/settings")
    switch = page.get_by_role("button", name=re.compile("Theme"))
    background = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(background)
    for words in ("light", "dark"):
        switch.click()
        expect(switch).to_have_accessible_name(re.compile(words))
    assert page.evaluate(background) != light
    # The frame of the page is known before its scripts have run; the colours must be, too.
    page.add_init_script(
        "new MutationObserver((_, observer) => { if (document.body) {"
        " window.early = document.documentElement.dataset.theme; observer.disconnect(); } })"
        ".observe(document, { childList: true, subtree: true })"
    )
    page.reload()
    assert page.evaluate("window.early") == "dark"
    switch.click()
    assert page.evaluate(background) == light


# ---- logging in, and who may


def test_logging_in_leads_to_where_one_wanted(visiting: Visiting) -> None:
    with visiting("manager") as one:
        one.forgive("401")
        page = one.go("/users?x=1")
        page.get_by_label("Name").fill("admin")
        page.get_by_label("Password").fill("wrong password")
        page.get_by_role("button", name="Log in").click()
        expect(page.get_by_role("alert")).to_contain_text("Wrong name or password.")
        one.check_accessibility()
        expect(page.get_by_label("Password")).to_be_focused()
        page.keyboard.type(ADMIN_PASSWORD)
        page.keyboard.press("Enter")
        page.wait_for_url(f"{one.url}/users?x=1")
        page.get_by_role("button", name="Log out").click()
        page.wait_for_url(f"{one.url}/login")
        one.go("/users")
        expect(page).to_have_url(f"{one.url}/login?next=/users")


def test_a_user_who_is_no_administrator_sees_nothing(admin: Visit, visiting: Visiting) -> None:
    password = create(admin, "visitor")
    with visiting("manager") as one:
        one.forgive("403|404")
        one.log_in("visitor", password, "/account")
        page = one.page
        expect(page.get_by_role("link", name="Pool")).to_have_count(0)
        for path in PAGES:
            if path in ("/account", "/nowhere"):
                continue
            answer = page.goto(f"{one.url}{path}")
            assert answer is not None
            assert answer.status == 403, path
            expect(page.get_by_text("You are logged in as visitor.")).to_be_visible()
        for call in ("pool", "health", "charts", "users", "tokens", "settings", "deletion", "config/check"):
            assert one.context.request.get(f"{one.url}/api/{call}").status == 403, call
        one.check_accessibility()


# ---- users


def test_the_life_of_a_user(admin: Visit, visiting: Visiting) -> None:
    page = admin.page
    password = create(admin, "zoë")
    expect(page.get_by_role("button", name="Copy")).to_be_visible()
    page.reload()
    expect(page.locator("#secret")).to_have_count(0)
    page.get_by_label("Name").fill("ZOË")
    page.get_by_role("button", name="Create").click()
    expect(page.get_by_role("alert")).to_be_visible()
    expect(page.get_by_label("Name")).to_have_value("ZOË")
    page.get_by_role("link", name="zoë").click()
    with visiting("manager") as other:
        other.forgive("401|403")
        other.log_in("zoë", password, "/account")
        page.get_by_label("Role").select_option("admin")
        page.get_by_role("button", name="Save").click()
        see_notice(page, "The role of zoë was changed.")
        other.go("/")
        expect(other.page.get_by_role("heading", name="Healthy")).to_be_visible()
        page.get_by_role("button", name="Disable").click()
        expect(page.get_by_role("dialog")).to_contain_text("Disable zoë?")
        agree(page)
        see_notice(page, "zoë is disabled")
        other.go("/")
        expect(other.page).to_have_url(re.compile("/login"))
    page.get_by_role("button", name="Enable").click()
    see_notice(page, "zoë can log in again.")
    page.get_by_role("button", name="Reset password").click()
    agree(page)
    made = page.locator("#secret").text_content()
    assert made
    with visiting("manager") as other:
        other.log_in("zoë", made)
        page.reload()
        expect(page.get_by_role("region", name="Table of sessions")).to_be_visible()
        page.get_by_role("button", name="Sign out the session").click()
        see_notice(page, "The session was ended.")
        other.go("/")
        expect(other.page).to_have_url(re.compile("/login"))


def test_throwing_out_ends_sessions_and_tokens(admin: Visit, visiting: Visiting, system: System) -> None:
    password = create(admin, "thrown")
    page = admin.go("/tokens")
    page.get_by_label("Owner").select_option("thrown")
    page.get_by_label("Label").fill("a script")
    page.get_by_role("button", name="Create").click()
    secret = page.locator("#secret").text_content()
    assert secret
    assert system.client(secret).metadata("nothing").status == 404
    with visiting("manager") as other:
        other.log_in("thrown", password, "/account")
        admin.go("/users/thrown")
        expect(page.get_by_role("region", name="Table of tokens")).to_contain_text("a script")
        page.get_by_role("button", name="Sign out everywhere").click()
        agree(page)
        see_notice(page, "All sessions of thrown ended")
        other.go("/account")
        expect(other.page).to_have_url(re.compile("/login"))
    assert system.client(secret).metadata("nothing").status == 401


def test_the_last_administrator_stays_one(admin: Visit) -> None:
    for name in ("zoë",):
        if admin.context.request.get(f"{admin.url}/api/users/{name}").ok:
            admin.context.request.patch(
                f"{admin.url}/api/users/{name}", data={"role": "user"}, headers={"Origin": admin.url}
            )
    page = admin.go("/users/admin")
    page.get_by_role("button", name="Disable").click()
    agree(page)
    expect(page.get_by_role("alert")).to_be_visible()
    expect(page.locator(".page-head")).to_contain_text("active")


# ---- tokens, the own account, settings


def test_tokens(admin: Visit, system: System) -> None:
    page = admin.go("/tokens")
    page.get_by_label("Label").fill("Nightly backup")
    page.get_by_role("checkbox", name="read").uncheck()
    page.get_by_role("button", name="Create").click()
    expect(page.get_by_role("alert")).to_be_visible()
    expect(page.get_by_label("Label")).to_have_value("Nightly backup")
    page.get_by_role("checkbox", name="write").check()
    page.get_by_label("Expires").select_option("30")
    page.get_by_role("button", name="Create").click()
    secret = page.locator("#secret").text_content()
    assert secret
    admin.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.get_by_role("button", name="Copy").click()
    expect(page.locator("#toasts")).to_contain_text("Copied.")
    assert page.evaluate("navigator.clipboard.readText()") == secret
    assert system.client(secret).metadata("nothing").status == 404
    row = page.get_by_role("row").filter(has_text="Nightly backup")
    row.get_by_role("button", name="Revoke").click()
    agree(page)
    see_notice(page, "Token revoked.")
    assert system.client(secret).metadata("nothing").status == 401
    page.get_by_text("Revoked or expired").click()
    expect(page.get_by_role("row").filter(has_text="Nightly backup")).to_contain_text("revoked")


def test_the_own_password_and_sessions(admin: Visit, visiting: Visiting) -> None:
    first = create(admin, "owner")
    with visiting("manager") as one, visiting("manager") as other:
        one.log_in("owner", first, "/account")
        other.log_in("owner", first, "/account")
        page = one.page
        for current, new, again, words in (
            ("wrong password", PASSWORD, PASSWORD, "The current password is wrong."),
            (first, PASSWORD, "another horse", "The new passwords do not match."),
            (first, PASSWORD, PASSWORD, "Your password was changed"),
        ):
            page.get_by_label("Current password").fill(current)
            page.get_by_label("New password", exact=True).fill(new)
            page.get_by_label("Confirm new password").fill(again)
            page.get_by_role("button", name="Change password").click()
            see_notice(page, words)
        other.go("/account")
        expect(other.page).to_have_url(re.compile("/login"))
        other.log_in("owner", PASSWORD, "/account")
        page.reload()
        page.get_by_role("button", name="Sign out the session").click()
        see_notice(page, "The session was ended.")
        other.go("/account")
        expect(other.page).to_have_url(re.compile("/login"))


def test_settings_tell_where_they_come_from(admin: Visit) -> None:
    page = admin.go("/settings")
    row = page.get_by_role("row").filter(has=page.get_by_text("port_offset", exact=True))
    expect(row).to_contain_text("environment")
    expect(page.locator("table")).not_to_contain_text(ADMIN_PASSWORD)


# ---- by keyboard, and without a script


def test_by_keyboard_alone(admin: Visit, system: System) -> None:
    page = admin.go("/")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#main")).to_be_focused()
    admin.go("/pool")
    page.get_by_role("radio", name=re.compile("^2")).focus()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("radio", name=re.compile("^3"))).to_be_checked()
    page.keyboard.press("Enter")
    see_notice(page, "3 nodes wanted")
    system.wait_settled(3)
    button = page.get_by_role("button", name="Clear all caches")
    button.focus()
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_role("button", name="Cancel")).to_be_focused()
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(button).to_be_focused()
    page.keyboard.press("Enter")
    expect(dialog.get_by_role("button", name="Cancel")).to_be_focused()
    page.keyboard.press("Tab")
    expect(dialog.get_by_role("button", name="Clear all caches")).to_be_focused()
    page.keyboard.press("Enter")
    see_notice(page, "All caches cleared.")
    system.scale(2)


def test_without_a_script(visiting: Visiting, admin_state: StorageState, system: System) -> None:
    with visiting("manager", script=False, storage_state=admin_state) as one:
        page = one.go("/")
        expect(page.locator("#charts")).to_be_hidden()
        expect(page.get_by_role("region", name="Metrics of the last minutes")).to_be_visible()
        expect(page.get_by_role("region", name="Metrics of the last minutes").locator("tbody tr")).to_have_count(30)
        one.go("/pool")
        page.get_by_role("button", name="Add a node").click()
        see_notice(page, "3 nodes wanted")
        system.wait_settled(3)
        page.reload()
        expect(page.locator("svg.ring")).to_contain_text("3 nodes")
        expect(page.locator("main > .notice:visible")).to_have_count(0)
        page.get_by_role("button", name="Clear all caches").click()
        see_notice(page, "All caches cleared.")
        page.get_by_label("Maximum miss rate").fill("nonsense")
        page.locator("form[data-check=scaling]").get_by_role("button", name="Save").click()
        expect(page.get_by_role("alert")).to_contain_text("Maximum miss rate must be a number")
        expect(page.locator("#f-max_miss-error")).to_contain_text("Maximum miss rate must be a number")
        expect(page.get_by_label("Maximum miss rate")).to_have_value("nonsense")
        password = create(one, "scriptless")
        assert len(password) >= 8
        one.go("/images")
        page.get_by_label("To confirm, type").fill("delete all images")
        page.get_by_role("button", name="Delete all images").click()
        expect(page.locator("#deletion")).to_be_visible()
    system.scale(2)
