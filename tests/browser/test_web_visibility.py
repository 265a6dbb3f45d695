"""Who sees an image, on the pages: chosen, changed, and what people see instead of what is not theirs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import get_args

import pytest
from playwright.sync_api import expect
from testing.client import Client
from testing.system import System
from tests.browser.browsing import PHONE, Scheme, Visit
from tests.browser.conftest import Visiting
from tests.browser.test_web_access import USER_PASSWORD, png, tab_to, users

__all__ = ["users"]
WIDE = (1440, 900)


@pytest.fixture(scope="module", autouse=True)
def images(system: System, users: dict[str, Client]) -> None:  # noqa: ARG001
    body = png("x")["buffer"]
    assert users["ann"].put("album/open.png", body).status == 201
    hidden = users["ann"].request("PUT", "/api/images/album/hidden.png", body=body, headers={"X-Visibility": "private"})
    assert hidden.status == 201


@pytest.fixture
def ann(visiting: Visiting) -> Iterator[Visit]:
    with visiting("web", size=WIDE) as one:
        one.log_in("ann", USER_PASSWORD)
        yield one


def fits(one: Visit) -> None:
    """The page is no wider than the window, and axe finds nothing serious."""
    one.check_accessibility()
    wider = one.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert wider <= 0, one.page.url


def test_an_upload_is_hidden_shown_and_renamed_by_keyboard(ann: Visit, users: dict[str, Client]) -> None:
    page = ann.go("/upload")
    tab_to(page, "Folder")
    page.keyboard.type("typed")
    tab_to(page, "Visibility")
    page.keyboard.type("Priv")
    tab_to(page, "Choose files")
    with page.expect_file_chooser() as chooser:
        page.keyboard.press("Space")
    chooser.value.set_files([png("mine.png", 31)])
    expect(page.locator(".upload [data-words]")).to_have_text("Uploaded")
    assert users["bob"].request("GET", "/api/images/typed/mine.png").status == 404
    page = ann.go("/view/typed/mine.png")
    expect(page.locator(".facts").first).to_contain_text("Private")
    # Its owner's session opens it.
    page.wait_for_function("() => document.querySelector('.stage img').naturalWidth > 0")
    tab_to(page, "Visibility")
    page.keyboard.type("Mem")
    tab_to(page, "Change visibility")
    page.keyboard.press("Enter")
    expect(page.get_by_role("status").filter(has_text="Visibility changed.")).to_be_visible()
    expect(page.locator(".facts").first).to_contain_text("Members")
    assert users["bob"].request("GET", "/api/images/typed/mine.png").status == 200
    tab_to(page, "Name, with its folders")
    page.keyboard.press("Control+A")
    page.keyboard.type("album/open.png")
    ann.forgive("status of 409")
    page.keyboard.press("Enter")
    expect(page.get_by_label("Name, with its folders")).to_have_attribute("aria-invalid", "true")
    page.get_by_label("Name, with its folders").fill("typed/été.png")
    page.keyboard.press("Enter")
    expect(page.get_by_role("status").filter(has_text="Image renamed.")).to_be_visible()
    expect(page.get_by_role("heading", level=1)).to_have_text("été.png")
    assert users["ann"].request("GET", "/api/images/typed/mine.png").status == 404


def test_the_same_without_a_script(visiting: Visiting) -> None:
    with visiting("web", script=False) as one:
        one.log_in("ann", USER_PASSWORD)
        page = one.go("/upload?folder=plain")
        page.get_by_label("Visibility").select_option("members")
        page.get_by_label("Image files").set_input_files([png("plain.png", 41)])
        page.get_by_role("button", name="Upload").click()
        expect(page.locator(".facts").first).to_contain_text("Members")
        page.get_by_label("Visibility").select_option("private")
        page.get_by_role("button", name="Change visibility").click()
        expect(page.locator(".facts").first).to_contain_text("Private")
        page.get_by_label("Name, with its folders").fill("plain/other.png")
        page.get_by_role("button", name="Rename").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("other.png")
        one.forgive("status of 404")
        page = one.go("/images/plain/plain.png")
        expect(page.get_by_role("heading", level=1)).to_have_text("Image not found")
        page.get_by_role("searchbox").fill("plain/")
        page.get_by_role("button", name="Search").click()
        expect(page.locator(".tile")).to_have_count(1)
        expect(page.locator(".tile-mark")).to_have_attribute("title", "Private: owner and administrators")


def test_a_queue_keeps_the_visibility_of_what_it_replaces(ann: Visit, users: dict[str, Client]) -> None:
    page = ann.go("/upload?folder=album")
    ann.forgive("status of 412")
    page.locator("#files").set_input_files([png("hidden.png", 77)])
    expect(page.locator(".upload [data-words]")).to_have_text("A private image with this name already exists:")
    page.get_by_role("button", name="Replace hidden.png").or_(
        page.get_by_role("button", name="Replace album/hidden.png")
    ).click()
    expect(page.locator(".upload [data-words]")).to_have_text("Uploaded")
    assert users["bob"].request("GET", "/api/images/album/hidden.png").status == 404


def test_a_name_that_somebody_else_has_hidden_is_taken(visiting: Visiting) -> None:
    with visiting("web") as one:
        one.log_in("bob", USER_PASSWORD)
        page = one.go("/upload?folder=album")
        one.forgive("status of (403|404)")
        page.locator("#files").set_input_files([png("hidden.png", 78)])
        expect(page.locator(".upload [data-words]")).to_have_text("This name is taken:")
        page.get_by_role("button", name="Keep both: album/hidden.png").click()
        expect(page.locator(".upload [data-words]")).to_have_text("Uploaded")
        expect(page.locator(".upload [data-key]")).to_have_text("album/hidden-2.png")


@pytest.mark.parametrize("scheme", get_args(Scheme))
@pytest.mark.parametrize("size", [WIDE, PHONE], ids=["desk", "phone"])
def test_a_visitor_is_led_on_from_what_is_not_theirs(visiting: Visiting, scheme: Scheme, size: tuple[int, int]) -> None:
    with visiting("web", scheme=scheme, size=size) as one:
        one.forgive("status of (403|404)")
        # An image itself is sandboxed, which Chromium's own viewer of images complains about.
        one.forgive(r"/images/album/hidden\.png\)")
        page = one.go("/images/album/hidden.png")
        expect(page.get_by_role("heading", level=1)).to_have_text("Image not found")
        fits(one)
        one.go("/images/album/open.png?w=321")
        expect(page.get_by_role("heading", level=1)).to_have_text("This size is not available")
        fits(one)
        one.go("/images/album/hidden.png")
        page.get_by_role("main").get_by_role("link", name="Log in").click()
        page.get_by_label("Name").fill("ann")
        page.get_by_label("Password", exact=True).fill(USER_PASSWORD)
        page.keyboard.press("Enter")
        page.wait_for_url(f"{one.url}/images/album/hidden.png")
        assert page.evaluate("document.contentType") == "image/png"
        one.go("/view/album/hidden.png")
        fits(one)
        one.go("/?prefix=album/")
        expect(page.locator(".tile-mark")).to_have_count(1)
        fits(one)
        one.go("/upload")
        fits(one)
