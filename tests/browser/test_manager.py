"""The manager in a real browser."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.browser.browsing import Visit
from tests.browser.conftest import ADMIN_PASSWORD, Visiting


@pytest.fixture
def admin(visiting: Visiting) -> Iterator[Visit]:
    """The administrator, logged in."""
    with visiting("manager") as one:
        one.log_in("admin", ADMIN_PASSWORD)
        yield one


def test_dashboard(admin: Visit) -> None:
    admin.page.get_by_role("heading", name="All is well").wait_for()
    admin.check_accessibility()
