"""Web's pages in a real browser: uploading, browsing, and what may be done with an image."""

from __future__ import annotations

import base64
import hashlib
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from playwright.sync_api import FilePayload, Locator, Page, Route, expect
from testing.photographs import Photograph, photographs
from testing.system import System
from tests.browser.browsing import Visit
from tests.browser.conftest import ADMIN_PASSWORD, Visiting

REFUSED = r"status of 412"
"""What Chromium notes in the console where a key is taken: asking first would be a race."""


@pytest.fixture(scope="module")
def photos() -> tuple[Photograph, ...]:
    return photographs(12)


@pytest.fixture
def admin(visiting: Visiting) -> Iterator[Visit]:
    with visiting("web") as one:
        one.log_in("admin", ADMIN_PASSWORD)
        yield one


def payload(photo: Photograph, name: str) -> FilePayload:
    return {"name": name, "mimeType": photo.content_type, "buffer": photo.body}


def png(name: str, body: bytes) -> FilePayload:
    return {"name": name, "mimeType": "image/png", "buffer": body}


def tiny(shade: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (16, 12), (shade, 255 - shade, 90)).save(buffer, "PNG")
    return buffer.getvalue()


def choose(page: Page, *files: FilePayload) -> None:
    """Pick files by the button, as a person does."""
    with page.expect_file_chooser() as chooser:
        page.get_by_text("Choose files").click()
    chooser.value.set_files(list(files))


def row(page: Page, key: str) -> Locator:
    """The row of an upload."""
    return page.locator(".upload").filter(has=page.locator("[data-key]", has_text=key)).last


def expect_stored(page: Page, *keys: str) -> None:
    for key in keys:
        expect(row(page, key).locator("[data-words]")).to_have_text("Uploaded")


def bring(page: Page, kind: str, *files: FilePayload) -> None:
    """Drop files onto the page, or paste them."""
    given = [[file["name"], file["mimeType"], base64.b64encode(file["buffer"]).decode()] for file in files]
    page.evaluate(
        """([kind, given]) => {
          const transfer = new DataTransfer();
          for (const [name, type, text] of given)
            transfer.items.add(new File([Uint8Array.from(atob(text), (one) => one.charCodeAt(0))], name, { type }));
          const options = { bubbles: true, cancelable: true };
          const drag = (name) => new DragEvent(name, { ...options, dataTransfer: transfer });
          const events = kind === "paste"
            ? [new ClipboardEvent("paste", { ...options, clipboardData: transfer })]
            : [drag("dragenter"), drag("dragover"), drag("drop")];
          for (const event of events) document.body.dispatchEvent(event);
        }""",
        [kind, given],
    )


def stored(system: System, key: str) -> bytes:
    return system.client().request("GET", f"/images/{key}").body


# ---- Uploading ----


def test_several_files_by_picker_into_a_folder(admin: Visit, system: System, photos: tuple[Photograph, ...]) -> None:
    page = admin.go("/upload")
    page.get_by_label("Folder", exact=True).fill("/picked/2026/")
    names = [f"{number} été {photo.name.rpartition('/')[2]}" for number, photo in enumerate(photos)]
    choose(page, *(payload(photo, name) for name, photo in zip(names, photos, strict=True)))
    keys = [f"picked/2026/{name}" for name in names]
    expect_stored(page, *keys)
    expect(page.locator("[data-summary]")).to_have_text("12 of 12 files uploaded.")
    for key, photo in zip(keys, photos, strict=True):
        assert (
            hashlib.sha256(stored(system, key.replace("é", "%C3%A9").replace(" ", "%20"))).hexdigest() == photo.sha256
        )
    page.get_by_role("link", name=f"Open {keys[0]}", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text(names[0])


def test_a_whole_folder_with_what_else_lies_in_it(admin: Visit, system: System, tmp_path: Path) -> None:
    (tmp_path / "album" / "inner").mkdir(parents=True)
    for name in ("one.png", "inner/two.png", "notes.txt"):
        (tmp_path / "album" / name).write_bytes(tiny(len(name)))
    page = admin.go("/upload?folder=folders")
    page.locator("#folder-files").set_input_files(tmp_path / "album")
    expect_stored(page, "folders/album/one.png", "folders/album/inner/two.png")
    expect(page.locator(".upload")).to_have_count(2)
    assert stored(system, "folders/album/inner/two.png") == tiny(len("inner/two.png"))


def test_files_are_dropped_onto_the_gallery(admin: Visit, system: System, photos: tuple[Photograph, ...]) -> None:
    page = admin.go("/?prefix=dropped/")
    bring(page, "drop", payload(photos[0], "one.jpg"), payload(photos[1], "two.jpg"))
    expect_stored(page, "dropped/one.jpg", "dropped/two.jpg")
    expect(page.locator(".tile")).to_have_count(2)  # without loading the page anew
    assert stored(system, "dropped/two.jpg") == photos[1].body
    expect(page.locator("#drop-cover")).to_be_hidden()
    page.get_by_role("button", name="Close").click()
    expect(page.locator("#uploads")).to_be_hidden()


def test_a_pasted_image_gets_a_name(admin: Visit, photos: tuple[Photograph, ...]) -> None:
    page = admin.go("/upload")
    bring(page, "paste", payload(photos[0], "image.png"), payload(photos[1], "named.jpg"))
    expect_stored(page, "pasted-", "named.jpg")
    assert (row(page, "pasted-").locator("[data-key]").text_content() or "").endswith(".jpg")


def test_a_failed_upload_says_why_and_is_retried(admin: Visit, system: System, photos: tuple[Photograph, ...]) -> None:
    admin.forgive("ERR_CONNECTION_RESET")
    page = admin.go("/upload")
    page.route("**/api/images/**", lambda route: route.abort("connectionreset"))
    choose(page, payload(photos[0], "broken.jpg"), payload(photos[1], "broken too.jpg"))
    for key in ("broken.jpg", "broken too.jpg"):
        expect(row(page, key)).to_contain_text("The connection was lost")
    expect(page.locator("[data-summary]")).to_have_text("0 of 2 files uploaded, 2 failed.")
    page.unroute("**/api/images/**")
    row(page, "broken.jpg").get_by_role("button", name="Retry").click()
    expect_stored(page, "broken.jpg")
    row(page, "broken too.jpg").get_by_role("button", name="Retry").click()
    expect_stored(page, "broken too.jpg")
    assert stored(system, "broken.jpg") == photos[0].body


def test_what_is_no_image_is_refused_with_a_clear_word(admin: Visit, tmp_path: Path) -> None:
    admin.forgive("status of 415")
    page = admin.go("/upload?folder=" + "n" * 200)
    bodies = {"notes.txt": b"words", "fake.png": b"words", "empty.png": b"", "l" * 60 + ".png": tiny(1)}
    for name, body in bodies.items():
        (tmp_path / name).write_bytes(body)
    with (tmp_path / "big.png").open("wb") as big:
        big.truncate(25_000_001)
    page.locator("#files").set_input_files(sorted(tmp_path.iterdir()))
    for key, words in {
        "notes.txt": "Not an image.",
        "fake.png": "Unsupported format",
        "empty.png": "The file is empty.",
        "big.png": "maximum 25.0 MB",
        "llll": "maximum 255 characters",
    }.items():
        expect(row(page, key)).to_contain_text(words)
    expect(page.locator("[data-summary]")).to_have_text("0 of 5 files uploaded, 5 failed.")
    expect(page.get_by_role("button", name="Retry")).to_have_count(0)  # it would fail again


def test_a_few_at_a_time_and_each_can_be_cancelled(admin: Visit, system: System) -> None:
    page = admin.go("/upload")
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    page.route("**/api/images/held-*", hold)
    choose(page, *(png(f"held-{number}.png", tiny(number)) for number in range(7)))
    expect(page.locator(".upload[data-state=waiting]")).to_have_count(3)
    assert len(held) == 4
    page.get_by_role("button", name="Cancel held-6.png").click()
    page.get_by_role("button", name="Cancel held-0.png").click()
    for key in ("held-0.png", "held-6.png"):
        expect(row(page, key)).to_contain_text("Cancelled")
    for route in held[:]:
        if "held-0" not in route.request.url:
            route.continue_()
    page.unroute("**/api/images/held-*")
    expect_stored(page, *(f"held-{number}.png" for number in range(1, 6)))
    assert system.client().request("HEAD", "/images/held-0.png").status == 404
    row(page, "held-0.png").get_by_role("button", name="Retry").click()
    expect_stored(page, "held-0.png")


def test_a_question_before_anything_is_replaced(admin: Visit, system: System, photos: tuple[Photograph, ...]) -> None:
    admin.forgive(REFUSED)
    keys = ["there/replaced.png", "there/kept.png", "there/skipped.png"]
    for key in keys:
        system.admin().put(key, tiny(10))
    page = admin.go("/upload?folder=there")
    choose(page, *(payload(photos[0], key.rpartition("/")[2]) for key in keys))
    for key in keys:
        expect(row(page, key)).to_contain_text("An image with this name already exists")
    # Somebody is faster than the answer: what the person saw is not what is there.
    system.admin().put(keys[0], tiny(11))
    page.get_by_role("button", name=f"Replace {keys[0]}").click()
    expect(row(page, keys[0])).to_contain_text("An image with this name already exists")
    assert stored(system, keys[0]) == tiny(11)
    page.get_by_role("button", name=f"Replace {keys[0]}").click()
    expect_stored(page, keys[0])
    page.get_by_role("button", name=f"Keep both: {keys[1]}").click()
    expect_stored(page, "there/kept-2.png")
    page.get_by_role("button", name=f"Skip {keys[2]}").click()
    expect(row(page, keys[2])).to_contain_text("Skipped")
    assert [stored(system, key) == photos[0].body for key in (*keys, "there/kept-2.png")] == [True, False, False, True]


# ---- Browsing ----


@pytest.fixture(scope="module")
def many(system: System) -> list[str]:
    """The keys of two pages and a bit, in their order."""
    keys = sorted(f"many/{number:03d}.png" for number in range(60))
    client = system.admin()
    for number, key in enumerate(keys):
        assert client.put(key, tiny(number)).status == 201
    return keys


def names(page: Page) -> list[str]:
    return page.locator(".tile .name").all_text_contents()


def test_search_while_typing(admin: Visit, many: list[str]) -> None:
    page = admin.go("/")
    box = page.get_by_role("searchbox", name="Search images")
    box.press_sequentially("many/03")
    expect(page.locator(".tile")).to_have_count(10)
    expect(page.locator("#results [role=status]")).to_have_text("10 images, sorted by name")
    assert names(page) == [key.rpartition("/")[2] for key in many[30:40]]
    assert page.url.endswith("/?prefix=many%2F03")
    expect(page.locator("[data-upload-link]")).to_have_attribute("href", "/upload?folder=many")
    box.press_sequentially("x")
    expect(page.get_by_role("heading", name="No results")).to_be_visible()
    page.get_by_role("link", name="All images").click()
    expect(page.locator(".tile")).to_have_count(48)


def test_more_is_put_below_and_is_there_when_one_comes_back(admin: Visit, many: list[str]) -> None:
    page = admin.go("/?prefix=many/")
    expect(page.locator(".tile")).to_have_count(48)
    expect(page.locator("#results [role=status]")).to_have_text("48+ images, sorted by name")
    page.get_by_role("link", name="Show more").click()
    expect(page.locator(".tile")).to_have_count(60)
    expect(page.locator("#results [role=status]")).to_have_text("60 images, sorted by name")
    expect(page.get_by_role("link", name="Show more")).to_have_count(0)
    assert names(page) == [key.rpartition("/")[2] for key in many]
    expect(page.locator(".tile a").nth(48)).to_be_focused()
    page.locator(".tile a").nth(50).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("050.png")
    page.go_back()
    expect(page.locator(".tile")).to_have_count(60)


@pytest.mark.usefixtures("many")
def test_the_two_orders(admin: Visit, system: System) -> None:
    system.admin().put("zzz-newest.png", tiny(200))
    page = admin.go("/")
    assert names(page)[0] == "zzz-newest.png"
    page.get_by_role("link", name="By name").click()
    expect(page.get_by_role("link", name="By name")).to_have_attribute("aria-current", "true")
    expect(page.locator(".tile .name").first).not_to_have_text("zzz-newest.png")
    assert "zzz-newest.png" not in names(page)


@pytest.mark.usefixtures("many")
def test_thumbnails_come_as_they_are_scrolled_to_and_keep_their_places(admin: Visit) -> None:
    page = admin.go("/?prefix=many/")
    last = page.locator(".tile img").nth(47)
    before = page.locator(".tile").nth(47).bounding_box()
    last.scroll_into_view_if_needed()
    page.wait_for_function("(image) => image.complete && image.naturalWidth > 0", arg=last.element_handle())
    page.evaluate("scrollTo(0, 0)")
    assert page.locator(".tile").nth(47).bounding_box() == before


# ---- One image ----


def test_an_image_page_tells_and_gives(admin: Visit, system: System, photos: tuple[Photograph, ...]) -> None:
    photo = next(one for one in photos if one.content_type == "image/jpeg")
    system.admin().put("told/a (1) [x].jpg", photo.body)
    admin.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page = admin.go("/view/told/a%20(1)%20%5Bx%5D.jpg")
    facts: dict[str, Any] = system.admin().request("GET", "/api/images/told/a%20(1)%20%5Bx%5D.jpg").json
    side = page.locator(".image-side")
    for fact in (f"{photo.width} × {photo.height} pixels", "JPEG", photo.sha256, f"{facts['partition']} of 16"):
        expect(side).to_contain_text(fact)
    expect(side.locator(".node-badge")).to_have_text(f"n{facts['node']}")
    expect(side.locator("#cached")).to_contain_text("X-Cache:")
    page.get_by_role("link", name="Check again").click()
    expect(side.locator("#cached")).to_contain_text("In memory")
    address = f"{admin.url}/images/told/a%20%281%29%20%5Bx%5D.jpg"
    html = f'<img src="{address}" alt="a (1) [x].jpg" width="{photo.width}" height="{photo.height}">'
    for name, text in {"Link": address, "HTML": html, "Markdown": f"![a (1) \\[x\\].jpg]({address})"}.items():
        page.get_by_role("button", name=f"Copy {name}").click()
        page.wait_for_function("async (text) => (await navigator.clipboard.readText()) === text", arg=text)
    page.wait_for_function("() => document.querySelector('.stage img').naturalWidth > 0")
    page.get_by_role("navigation", name="Folder").get_by_role("link", name="told").click()
    expect(page.locator(".tile")).to_have_count(1)


@pytest.mark.usefixtures("many")
def test_previous_and_next_by_link_and_by_key(admin: Visit) -> None:
    page = admin.go("/view/many/010.png?prefix=many%2F")
    page.get_by_role("link", name="Next image").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("011.png")
    page.keyboard.press("ArrowLeft")
    expect(page.get_by_role("heading", level=1)).to_have_text("010.png")
    admin.go("/view/many/000.png?prefix=many%2F")
    expect(page.get_by_role("link", name="Previous image")).to_have_count(0)


def test_replace(admin: Visit, system: System, photos: tuple[Photograph, ...]) -> None:
    admin.forgive("status of (412|415)")
    system.admin().put("replaced.png", tiny(1))
    page = admin.go("/view/replaced.png")

    def replace_by(name: str, body: bytes) -> None:
        page.get_by_label("Replace with another file").set_input_files(
            {"name": name, "mimeType": "image/png", "buffer": body}
        )
        page.get_by_role("button", name="Replace", exact=True).click()

    replace_by("no.png", b"no image")
    expect(page.get_by_role("alert")).to_contain_text("Unsupported format")
    system.admin().put("replaced.png", tiny(2))
    replace_by("late.png", photos[0].body)
    expect(page.get_by_role("alert")).to_contain_text("Someone else has replaced")
    page.reload()
    replace_by("good.png", photos[0].body)
    expect(page.get_by_role("status").filter(has_text="Image replaced.")).to_be_visible()
    assert stored(system, "replaced.png") == photos[0].body
    expect(page.locator(".facts").first).to_contain_text("Version3")


def test_delete_asks_first(admin: Visit, system: System) -> None:
    system.admin().put("gone.png", tiny(1))
    page = admin.go("/view/gone.png")
    page.get_by_role("button", name="Delete", exact=True).click()
    dialog = page.get_by_role("dialog", name="Delete this image?")
    dialog.get_by_role("button", name="Cancel").click()
    expect(dialog).to_be_hidden()
    assert system.client().request("HEAD", "/images/gone.png").status == 200
    page.get_by_role("button", name="Delete", exact=True).click()
    dialog.get_by_role("button", name="Delete image").click()
    expect(page.get_by_role("status").filter(has_text="Image deleted.")).to_be_visible()
    assert system.client().request("HEAD", "/images/gone.png").status == 404


def test_a_missing_image_helps_on(admin: Visit) -> None:
    admin.forgive("status of 404")
    page = admin.go("/view/nothing/here.png")
    expect(page.get_by_role("heading", name="Not found")).to_be_visible()
    page.get_by_role("link", name="All images").click()
    expect(page.get_by_role("heading", name="Images", level=1)).to_be_visible()
