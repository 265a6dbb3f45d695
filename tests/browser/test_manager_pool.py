"""The pool in a real browser: size, mode, memory, caches, charts, faults, and deleting everything."""

from __future__ import annotations

import re
import signal
import threading
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, StorageState, expect
from testing.photographs import photographs
from testing.system import System, running
from testing.waiting import wait_for
from tests.browser.browsing import Visit
from tests.browser.conftest import ADMIN_PASSWORD, Visiting

LONG_MS = 120_000
SLOW_BYTES_PER_SECOND = 300_000
"""A resize copies so slowly that people, and this browser, see it go on."""


@pytest.fixture(scope="module")
def system(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:  # noqa: ARG001 - skips first
    folder = tmp_path_factory.mktemp("system")
    settings = {"admin_password": ADMIN_PASSWORD, "nodes": 2, "warm_bytes_per_second": SLOW_BYTES_PER_SECOND}
    # A stopped autoscaler stays until the page has shown it.
    with running(folder, hang_seconds=0, **settings) as started:
        yield started


@pytest.fixture
def admin(visiting: Visiting, admin_state: StorageState) -> Iterator[Visit]:
    """The administrator, logged in."""
    with visiting("manager", storage_state=admin_state) as one:
        yield one


@pytest.fixture
def keys(system: System) -> list[str]:
    """Photographs that are stored and in memory."""
    client, stored = system.admin(), photographs(30)
    for photograph in stored:
        assert client.put(photograph.name, photograph.body).status in (200, 201)
        assert client.get(photograph.name).status == 200
    return [photograph.name for photograph in stored]


def see_ring(page: Page, nodes: int) -> None:
    """Wait, without a reload, until the ring is settled on so many nodes."""
    expect(page.locator("svg.ring")).to_contain_text(f"{nodes} node", timeout=LONG_MS)
    expect(page.locator("svg.ring")).to_contain_text("settled", timeout=LONG_MS)


def see_notice(page: Page, words: str) -> None:
    expect(page.locator("main > .notice").filter(has_text=words)).to_be_visible()


def collect_rims(page: Page) -> None:
    """Note from now on, in `window.rims`, the most partitions that were seen with a previous owner."""
    page.evaluate(
        """() => {
          window.rims = 0;
          const look = () => { window.rims = Math.max(window.rims, document.querySelectorAll(".ring-rim").length); };
          look();
          const all = { subtree: true, childList: true, attributes: true };
          new MutationObserver(look).observe(document.getElementById("live"), all);
        }"""
    )


@pytest.fixture
def two_nodes(system: System) -> System:
    system.scale(2)
    return system


def test_a_scale_out_under_traffic_is_seen_on_the_ring_and_in_the_charts(
    admin: Visit, two_nodes: System, keys: list[str]
) -> None:
    stop = threading.Event()

    def read() -> None:
        client, number = two_nodes.client(), 0
        while not stop.wait(0.01):
            assert client.get(keys[number % len(keys)]).status == 200
            number += 1

    reader = threading.Thread(target=read)
    reader.start()
    try:
        page = admin.go("/")
        see_ring(page, 2)
        with admin.context.expect_page() as opened:
            admin.context.new_page()
        control = opened.value
        control.goto(f"{admin.url}/pool")
        control.locator("label.size").filter(has_text=re.compile(r"^\s*4")).click()
        collect_rims(page)
        page.bring_to_front()
        control.get_by_role("button", name="Set size").click()
        see_notice(control, "4 nodes wanted")
        see_ring(page, 4)
        assert page.evaluate("window.rims") > 0, "the previous owners were never shown"
        expect(page.locator(".nodes tbody tr")).to_have_count(4)
        expect(page.locator("#charts")).to_have_attribute("data-marks", re.compile("resize"), timeout=LONG_MS)
        expect(page.locator("[data-chart=nodes] [data-value]")).to_have_text("4", timeout=LONG_MS)
        expect(page.locator("[data-chart=hit_rate] [data-value]")).to_contain_text("%", timeout=LONG_MS)
        expect(page.get_by_text("A resize began").first).to_be_visible()
        # All of it is kept by the server: a reload shows the same.
        page.reload()
        expect(page.locator("#charts")).to_have_attribute("data-marks", re.compile("resize"))
        expect(page.locator("[data-chart=nodes] [data-value]")).to_have_text("4")
    finally:
        stop.set()
        reader.join()


def test_one_node_more_and_one_less(admin: Visit, two_nodes: System) -> None:
    page = admin.go("/pool")
    see_ring(page, 2)
    page.get_by_role("button", name="Add a node").click()
    see_notice(page, "3 nodes wanted")
    see_ring(page, 3)
    # The form is not sent again by a reload, nor is its note told again.
    page.reload()
    expect(page.locator("main > .notice:visible")).to_have_count(0)
    assert two_nodes.pool()["wanted"] == 3
    page.get_by_role("button", name="Remove a node").click()
    see_notice(page, "2 nodes wanted")
    see_ring(page, 2)


def test_the_smallest_and_the_largest_size_have_no_step_beyond(admin: Visit, two_nodes: System) -> None:
    two_nodes.scale(1)
    page = admin.go("/pool")
    expect(page.get_by_role("button", name="Remove a node")).to_be_disabled()
    moves = two_nodes.pool()["moves"]["alternating"]
    for nodes in range(2, 9):
        expect(page.locator("label.size").nth(nodes - 1)).to_contain_text(f"moves {moves[str(nodes)]}")
    two_nodes.scale(2)


def test_the_four_numbers_are_checked_as_they_are_typed(admin: Visit, two_nodes: System) -> None:
    page = admin.go("/pool")
    upper, lower = page.get_by_label("Maximum miss rate"), page.get_by_label("Minimum miss rate")
    for field, value, words in (
        (upper, "1.5", "Maximum miss rate must be from 0 to 1, not 1.5."),
        (lower, "0.9", "Minimum miss rate (0.9) must be below Maximum miss rate (0.3)."),
        (page.get_by_label("Expand ratio"), "1", "Expand ratio must be above 1, not 1."),
        (page.get_by_label("Shrink ratio"), "half", "Shrink ratio must be a number"),
    ):
        before = field.input_value()
        field.fill(value)
        expect(page.get_by_text(words)).to_be_visible()
        expect(field).to_have_attribute("aria-invalid", "true")
        field.fill(before)
        expect(page.get_by_text(words)).to_have_count(0)
    upper.fill("0.4")
    page.get_by_label("Automatic").check()
    expect(page.locator("[data-explanation]")).to_contain_text("Above 40.0 % the pool grows: from 2 nodes to 4.")
    page.locator("form[data-check=scaling]").get_by_role("button", name="Save").click()
    see_notice(page, "Settings saved.")
    kept = two_nodes.autoscaler().config()
    assert (kept["mode"], kept["max_miss"]) == ("auto", 0.4)
    # Whatever the browser lets pass, the server checks, and what was typed is still there.
    upper.fill("7")
    page.locator("form[data-check=scaling]").get_by_role("button", name="Save").click()
    expect(page.get_by_role("alert")).to_contain_text("Maximum miss rate must be from 0 to 1, not 7.")
    expect(upper).to_have_value("7")
    page.get_by_label("Manual").check()
    upper.fill("0.3")
    page.locator("form[data-check=scaling]").get_by_role("button", name="Save").click()
    see_notice(page, "Settings saved.")
    assert two_nodes.autoscaler().config()["mode"] == "manual"


def test_capacity_policy_and_dealing(admin: Visit, two_nodes: System) -> None:
    page = admin.go("/pool")
    page.get_by_label("Capacity").fill("32")
    page.get_by_label("Eviction").select_option("RR")
    page.get_by_label("Assignment").select_option("minimal")
    page.locator("form[data-check=memory]").get_by_role("button", name="Save").click()
    see_notice(page, "Settings saved.")
    kept = two_nodes.autoscaler().config()
    assert (kept["cache_mb"], kept["policy"], kept["assignment"]) == (32, "RR", "minimal")
    admin.go("/")
    expect(page.locator(".nodes tbody tr").first).to_contain_text("of 32.0 MB")
    two_nodes.autoscaler().update_config({"cache_mb": 64, "policy": "LRU", "assignment": "alternating"})


def test_clearing_the_caches_asks_first(admin: Visit, two_nodes: System, keys: list[str]) -> None:
    def items() -> int:
        return sum(node["stats"]["items"] for node in two_nodes.pool()["nodes"])

    assert keys
    wait_for(items, "images are in memory")
    page = admin.go("/pool")
    page.get_by_role("button", name="Clear all caches").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("No image is lost")
    admin.check_accessibility()
    dialog.get_by_role("button", name="Cancel").click()
    expect(dialog).to_be_hidden()
    assert items() > 0
    page.get_by_role("button", name="Clear all caches").click()
    dialog.get_by_role("button", name="Clear all caches").click()
    see_notice(page, "All caches cleared.")
    wait_for(lambda: items() == 0, "no image is in memory")


def test_a_fault_is_told_marked_and_healed(admin: Visit, two_nodes: System) -> None:
    page = admin.go("/")
    see_ring(page, 2)
    two_nodes.kill(two_nodes.node(1))
    expect(page.get_by_text("Node 1 exited unexpectedly").first).to_be_visible(timeout=LONG_MS)
    expect(page.locator("#charts")).to_have_attribute("data-marks", re.compile("fault"), timeout=LONG_MS)
    expect(page.get_by_role("heading", name="Healthy", exact=True)).to_be_visible(timeout=LONG_MS)
    see_ring(page, 2)
    page.get_by_role("link", name="All events").click()
    expect(page.locator(".event-title.bad").first).to_be_visible()


def test_an_autoscaler_that_hangs_is_told_and_so_is_its_return(admin: Visit, two_nodes: System) -> None:
    admin.forgive("503")
    page = admin.go("/")
    (autoscaler,) = two_nodes.find("autoscaler")
    autoscaler.send_signal(signal.SIGSTOP)
    try:
        expect(page.get_by_role("heading", name="Problem detected")).to_be_visible(timeout=LONG_MS)
        expect(page.locator(".health-parts .bad")).to_contain_text("Images are still served; the pool cannot change.")
        expect(page.locator(".health-parts")).to_contain_text("Unknown while the autoscaler is not responding")
        admin.check_accessibility()
        admin.go("/pool")
        expect(page.get_by_role("heading", name="The autoscaler is not responding")).to_be_visible()
        admin.go("/")
    finally:
        autoscaler.send_signal(signal.SIGCONT)
    expect(page.get_by_role("heading", name="Healthy", exact=True)).to_be_visible(timeout=LONG_MS)
    two_nodes.wait_settled(2)


def test_a_manager_out_of_reach_is_told(admin: Visit) -> None:
    admin.forgive("ERR_INTERNET_DISCONNECTED|Failed to fetch")
    page = admin.go("/")
    expect(page.locator("#charts")).to_have_attribute("data-drawn", re.compile(r"\d+"))
    admin.context.set_offline(True)
    expect(page.get_by_text("The manager is not responding.")).to_be_visible()
    admin.context.set_offline(False)
    expect(page.get_by_text("The manager is not responding.")).to_be_hidden()


def test_everything_is_deleted_after_the_words_and_with_its_progress(
    admin: Visit, two_nodes: System, keys: list[str]
) -> None:
    page = admin.go("/images")
    typed = page.get_by_label("To confirm, type")
    typed.fill("delete all")
    page.get_by_role("button", name="Delete all images").click()
    expect(page.get_by_role("alert")).to_contain_text("Nothing was deleted.")
    assert two_nodes.client().get(keys[0]).status == 200
    typed.fill("delete all images")
    page.get_by_role("button", name="Delete all images").click()
    expect(page.get_by_role("heading", name="All images were deleted")).to_be_visible(timeout=LONG_MS)
    expect(page.locator("#deletion")).to_contain_text(f"{len(keys)} of {len(keys)} images deleted")
    expect(page.locator(".figures dd").first).to_have_text("0")
    admin.check_accessibility()
    assert two_nodes.client().get(keys[0]).status == 404
    # A reload deletes nothing.
    assert two_nodes.admin().put(keys[0], photographs(1)[0].body).status == 201
    page.reload()
    expect(page.locator(".figures dd").first).to_have_text("1")
    assert two_nodes.client().get(keys[0]).status == 200
