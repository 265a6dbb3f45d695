"""A real browser for tests: Debian's Chromium through Playwright, watched while it is used.

Whatever a page does, nothing may leave the machine, nothing may break our Content-Security-Policy, and the console
stays free of errors: each `Visit` fails at its end if that did not hold.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Error, Page, Playwright, Request

CHROMIUM = shutil.which("chromium")
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
WAIT_MS = 60_000
DESK, PHONE = (1360, 850), (390, 844)
_AXE = Path(__file__).with_name("vendor") / "axe.min.js"
_HERE = frozenset({"127.0.0.1", "localhost"})
_SERIOUS = frozenset({"serious", "critical"})

Scheme = Literal["light", "dark"]


def launch(playwright: Playwright) -> Browser:
    """The browser, with an empty profile. `CHROMIUM` must be there."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR", "LANG") if name in os.environ}
    return playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS), env={**kept, "TZ": "UTC"})


@dataclass(slots=True)
class Visit:
    """One person at the browser: cookies of his own, and one page. Used by one thread."""

    context: BrowserContext
    page: Page
    url: str
    """What addresses without a host are relative to."""
    has_script: bool = True
    problems: list[str] = field(default_factory=list)
    _forgiven: list[re.Pattern[str]] = field(default_factory=list)

    def forgive(self, pattern: str) -> None:
        """Let console errors that match pass: those which a test provokes (a 403 page is one in Chromium's eyes)."""
        self._forgiven.append(re.compile(pattern))

    def go(self, path: str) -> Page:
        """Open a page, and give it."""
        self.page.goto(f"{self.url}{path}")
        return self.page

    def log_in(self, name: str, password: str, path: str = "/") -> None:
        """Log in as a person does, and end up at `path`."""
        page = self.go(f"/login?next={path}")
        page.get_by_label("Name").fill(name)
        page.get_by_label("Password", exact=True).fill(password)
        page.get_by_role("button", name="Log in").click()
        page.wait_for_url(lambda url: urlsplit(url).path != "/login")

    def check(self) -> None:
        """Fail where anything went wrong so far that was not forgiven."""
        left = [one for one in self.problems if not any(pattern.search(one) for pattern in self._forgiven)]
        assert not left, "\n".join(left)

    def check_accessibility(self) -> None:
        """Fail where axe-core finds anything serious or critical on the page as it is now. Needs a page with script."""
        violations = accessibility_violations(self.page)
        assert not violations, f"{self.page.url}\n" + "\n".join(violations)


def accessibility_violations(page: Page) -> list[str]:
    """What axe-core finds serious or critical, each with the elements."""
    page.evaluate(_AXE.read_text(encoding="utf-8"))
    found: dict[str, Any] = page.evaluate("() => axe.run(document, { resultTypes: ['violations'] })")
    return [
        f"{violation['impact']} {violation['id']}: {violation['help']}\n    "
        + "\n    ".join(
            f"{node['html'][:160]}  {node['failureSummary'].splitlines()[-1]}" for node in violation["nodes"]
        )
        for violation in found["violations"]
        if violation["impact"] in _SERIOUS
    ]


@contextmanager
def visit(
    browser: Browser,
    url: str,
    *,
    script: bool = True,
    scheme: Scheme = "light",
    size: tuple[int, int] = DESK,
    **options: Any,
) -> Iterator[Visit]:
    """A visit to the app at `url`. At its end everything that went wrong fails, unless the test failed before."""
    context = browser.new_context(
        java_script_enabled=script,
        color_scheme=scheme,
        viewport={"width": size[0], "height": size[1]},
        reduced_motion="reduce",
        timezone_id="UTC",
        locale="en-GB",
        **options,
    )
    context.set_default_timeout(WAIT_MS)
    try:
        page = context.new_page()
        one = Visit(context, page, url.rstrip("/"), script)
        _watch(one)
        yield one
        one.check()
    finally:
        context.close()


def _watch(one: Visit) -> None:
    def on_console(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            where = message.location.get("url", "")
            one.problems.append(f"console {message.type}: {message.text} ({where})")

    def on_request(request: Request) -> None:
        parts = urlsplit(request.url)
        if parts.scheme not in ("data", "blob") and parts.hostname not in _HERE:
            one.problems.append(f"a request leaves the machine: {request.url}")

    def on_error(error: Error) -> None:
        one.problems.append(f"script: {error}")

    one.context.on("console", on_console)
    one.context.on("request", on_request)
    one.page.on("pageerror", on_error)
    if one.has_script:
        # Reported by the page itself, since not every violation is an error of the console.
        one.page.expose_function("tellViolation", lambda text: one.problems.append(f"policy: {text}"))
        one.page.add_init_script(
            "addEventListener('securitypolicyviolation', (event) =>"
            " tellViolation(`${event.violatedDirective} ${event.blockedURI} ${event.sourceFile ?? ''}`))"
        )
