"""Web's pages for everybody: by keyboard alone, without a script, for screen readers, and for whom they are not."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import get_args

import pytest
from PIL import Image
from playwright.sync_api import FilePayload, Page, expect
from testing.client import Client
from testing.system import System
from tests.browser.browsing import PHONE, Scheme, Visit
from tests.browser.conftest import ADMIN_PASSWORD, Visiting

from elastic_images.core.keys import quote_key

USER_PASSWORD = "a user's password"
UNICODE_KEY = "写真/東京 🗼/" + "é" * 100 + ".png"
LONG_KEY = "x" * 255


def png(name: str, shade: int = 100) -> FilePayload:
    buffer = io.BytesIO()
    Image.new("RGB", (640, 480), (shade, 255 - shade, 90)).save(buffer, "PNG")
    return {"name": name, "mimeType": "image/png", "buffer": buffer.getvalue()}


@pytest.fixture(scope="module")
def users(system: System) -> dict[str, Client]:
    """Clients of `ann` and `bob`."""
    manager = system.client((system.data / "cli-token").read_text().strip(), app="manager")
    found = {}
    for name in ("ann", "bob"):
        answer = manager.request(
            "POST",
            "/api/users",
            body=f'{{"name": "{name}", "password": "{USER_PASSWORD}", "role": "user"}}'.encode(),
            headers={"Content-Type": "application/json"},
        )
        assert answer.status == 201, answer.body
        token = system.cli_json("token", "create", "--user", name, "--scope", "write", "--name", "tests")["token"]
        found[name] = system.client(token)
    return found


@pytest.fixture
def admin(visiting: Visiting) -> Iterator[Visit]:
    with visiting("web") as one:
        one.log_in("admin", ADMIN_PASSWORD)
        yield one


# ---- No image yet: these come first ----


@pytest.mark.parametrize("scheme", get_args(Scheme))
def test_an_empty_gallery_leads_to_the_upload(visiting: Visiting, scheme: Scheme) -> None:
    with visiting("web", scheme=scheme) as one:
        one.log_in("admin", ADMIN_PASSWORD)
        expect(one.page.get_by_role("heading", name="No images yet")).to_be_visible()
        one.check_accessibility()
        one.page.get_by_role("link", name="Upload images").click()
        expect(one.page.get_by_role("heading", name="Upload", level=1)).to_be_visible()


# ---- Rights ----


def test_a_second_user_sees_but_does_not_change(visiting: Visiting, users: dict[str, Client]) -> None:
    body = png("x")["buffer"]
    assert users["ann"].put("anns.png", body).status == 201
    with visiting("web") as one:
        one.forgive("status of 403")
        one.log_in("bob", USER_PASSWORD)
        page = one.go("/view/anns.png")
        expect(page.locator(".facts").first).to_contain_text("ann")
        for name in ("Replace", "Delete"):
            expect(page.get_by_role("button", name=name, exact=True)).to_have_count(0)
        expect(page.get_by_role("link", name="Manager")).to_have_count(0)
        one.go("/upload")
        page.locator("#files").set_input_files([png("anns.png", 7)])
        expect(page.locator(".upload")).to_contain_text("already exists and belongs to ann")
        expect(page.get_by_role("button", name="Replace anns.png")).to_have_count(0)
        page.get_by_role("button", name="Keep both: anns.png").click()
        expect(page.locator(".upload [data-words]")).to_have_text("Uploaded")
        # What is not offered is refused as well.
        refused = page.evaluate("async () => (await fetch('/delete/anns.png', { method: 'POST' })).status")
        assert refused == 403
    assert users["ann"].get("anns.png").body == body


def test_who_is_not_logged_in_is_led_to_the_login_and_back(visiting: Visiting, users: dict[str, Client]) -> None:
    assert users["ann"].put("open.png", png("x")["buffer"]).status == 201
    with visiting("web") as one:
        page = one.go("/view/open.png?order=key")
        expect(page.get_by_role("heading", name="Log in")).to_be_visible()
        expect(page.get_by_role("link", name="Upload")).to_have_count(0)
        one.forgive("status of 401")
        page.get_by_label("Name").fill("ann")
        page.get_by_label("Password", exact=True).fill("not this")
        page.keyboard.press("Enter")
        expect(page.get_by_role("alert")).to_contain_text("Wrong name or password")
        page.get_by_label("Password", exact=True).fill(USER_PASSWORD)
        page.keyboard.press("Enter")
        page.wait_for_url(f"{one.url}/view/open.png?order=key")


# ---- Keyboard alone ----


def tab_to(page: Page, words: str) -> None:
    """Press Tab until the element with this name has the focus."""
    for _ in range(80):
        page.keyboard.press("Tab")
        name = page.evaluate(
            """() => {
              const one = document.activeElement;
              return one.getAttribute("aria-label") ?? one.labels?.[0]?.innerText.trim() ?? one.innerText?.trim() ?? "";
            }"""
        )
        if name == words:
            return
    raise AssertionError(f"Tab does not lead to {words!r}")


def test_everything_by_keyboard(visiting: Visiting, system: System) -> None:
    with visiting("web") as one:
        page = one.go("/login")
        page.keyboard.type("admin")  # the field has the focus
        tab_to(page, "Password")
        page.keyboard.type(ADMIN_PASSWORD)
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", name="Images", level=1)).to_be_visible()
        tab_to(page, "Upload")
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", name="Upload", level=1)).to_be_visible()
        tab_to(page, "Folder")
        page.keyboard.type("keys")
        tab_to(page, "Choose files")
        with page.expect_file_chooser() as chooser:
            page.keyboard.press("Space")
        chooser.value.set_files([png("typed.png")])
        expect(page.locator(".upload [data-words]")).to_have_text("Uploaded")
        tab_to(page, "Open keys/typed.png")
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", level=1)).to_have_text("typed.png")
        tab_to(page, "Delete")
        page.keyboard.press("Enter")
        expect(page.get_by_role("dialog")).to_be_visible()
        page.keyboard.press("Escape")
        expect(page.get_by_role("button", name="Delete", exact=True)).to_be_focused()
        page.keyboard.press("Enter")
        tab_to(page, "Delete image")
        page.keyboard.press("Enter")
        expect(page.get_by_role("status").filter(has_text="Image deleted.")).to_be_visible()
        assert system.client().request("HEAD", "/images/keys/typed.png").status == 404
        tab_to(page, "Log out")
        page.keyboard.press("Enter")
        expect(page.get_by_role("status").filter(has_text="You have logged out.")).to_be_visible()


# ---- Without a script ----


def test_everything_without_a_script(visiting: Visiting, system: System) -> None:
    for number in range(50):
        system.admin().put(f"plain/{number:02d}.png", png("x", number)["buffer"])
    with visiting("web", script=False) as one:
        one.log_in("admin", ADMIN_PASSWORD)
        page = one.page
        page.get_by_role("link", name="Upload").first.click()
        page.get_by_label("Folder", exact=True).fill("form")
        page.get_by_label("Image files").set_input_files([png("one.png"), png("two.png", 7)])
        page.get_by_role("button", name="Upload").click()
        expect(page.get_by_role("status").filter(has_text="All images uploaded.")).to_be_visible()
        one.forgive("status of (412|415)")
        page = one.go("/upload?folder=form")
        bad: FilePayload = {"name": "no.png", "mimeType": "image/png", "buffer": b"words"}
        page.get_by_label("Image files").set_input_files([png("one.png", 9), png("three.png"), bad])
        page.get_by_role("button", name="Upload").click()
        expect(page.get_by_role("heading", name="1 uploaded, 2 failed")).to_be_visible()
        page.get_by_label("Image files").set_input_files([png("one.png", 9)])
        page.get_by_label("Replace images with the same name").check()
        page.get_by_role("button", name="Upload").click()
        expect(page.get_by_role("heading", name="one.png")).to_be_visible()
        page.get_by_role("link", name="Check").click()
        expect(page.locator("#cached")).to_contain_text("X-Cache:")
        page.get_by_label("Replace with another file").set_input_files([png("x.png", 10)])
        page.get_by_role("button", name="Replace", exact=True).click()
        expect(page.get_by_role("status").filter(has_text="Image replaced.")).to_be_visible()
        page.get_by_role("link", name="Delete …").click()
        expect(page.get_by_role("heading", name="Delete this image?")).to_be_visible()
        page.get_by_role("button", name="Delete image").click()
        expect(page.get_by_role("status").filter(has_text="Image deleted.")).to_be_visible()
        page.get_by_role("searchbox").fill("plain/")
        page.get_by_role("button", name="Search").click()
        expect(page.locator(".tile")).to_have_count(48)
        page.get_by_role("link", name="Show more").click()
        expect(page.locator(".tile")).to_have_count(2)
        page.get_by_role("link", name="First page").click()
        expect(page.locator(".tile")).to_have_count(48)
        page.get_by_role("link", name="admin").click()
        page.locator("#new-token").get_by_label("Name", exact=True).fill("a script")
        page.get_by_role("button", name="Create token").click()
        expect(page.locator("#secret")).to_contain_text("ei_")
        page.reload()
        expect(page.locator("#secret")).to_have_count(0)
        page.get_by_role("button", name="Log out").click()
        expect(page.get_by_role("heading", name="Log in")).to_be_visible()


# ---- Screen readers, contrast ----


@pytest.mark.parametrize("scheme", get_args(Scheme))
@pytest.mark.parametrize("size", [None, PHONE], ids=["desk", "phone"])
def test_axe_finds_nothing_serious(
    visiting: Visiting, system: System, scheme: Scheme, size: tuple[int, int] | None
) -> None:
    body = png("x")["buffer"]
    for key in ("folder/one.png", UNICODE_KEY, LONG_KEY):
        assert system.admin().put(key, body).status in (200, 201)
    with visiting("web", scheme=scheme, **({"size": size} if size else {})) as one:
        one.forgive("status of (404|412)")
        one.go("/login")
        one.check_accessibility()
        one.log_in("admin", ADMIN_PASSWORD)
        for path in (
            "/",
            "/?prefix=none",
            "/account",
            f"/view/{quote_key(UNICODE_KEY)}",
            f"/delete/{LONG_KEY}",
            "/view/none",
        ):
            page = one.go(path)
            page.wait_for_load_state("networkidle")
            one.check_accessibility()
            width = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
            assert width <= 0, f"{path} is wider than the window by {width} pixels"
        page = one.go("/upload?folder=folder")
        words: FilePayload = {"name": "no.txt", "mimeType": "text/plain", "buffer": b"words"}
        page.locator("#files").set_input_files([png("one.png", 3), png(f"new-{scheme}-{size}.png"), words])
        expect(page.locator("[data-summary]")).to_have_text("1 of 3 files uploaded, 1 failed, 1 needs your decision.")
        one.check_accessibility()
