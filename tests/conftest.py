"""What holds for every test: a clean environment, and nothing that it started is left behind it.

With `ELASTIC_IMAGES_TEST_SERVICES=1` (`./run_tests.sh --install-services`) everything is there that a test may need,
and a skipped test is a failure, unless this machine does not allow what it does (`MISSING_RIGHTS`).
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator

import hypothesis
import psutil
import pytest

PREFIX = "ELASTIC_IMAGES_"
SERVICES_VARIABLE = PREFIX + "TEST_SERVICES"
MISSING_RIGHTS = "not allowed here: "
"""Begins the reason of a skip that no installation can mend; it is told, and is no failure."""
LEAVE_SECONDS = float(os.environ.get("TEST_LEAVE_SECONDS", "30"))


def pytest_configure(config: pytest.Config) -> None:
    # A setting of the person who runs the tests is no setting of the tests, and he has no token for them either, nor
    # credentials for AWS.
    for name in [name for name in os.environ if name.startswith((PREFIX, "AWS_")) and name != SERVICES_VARIABLE]:
        del os.environ[name]
    # A busy machine is no error: no test has a deadline.
    hypothesis.settings.register_profile("without-deadline", deadline=None)
    hypothesis.settings.register_profile("quick", deadline=None, max_examples=10)  # run_tests.sh, for a few files
    hypothesis.settings.load_profile(config.getoption("--hypothesis-profile") or "without-deadline")


@pytest.fixture(autouse=True)
def nothing_left_behind() -> Iterator[None]:
    """Fails a test that leaves a thread or a child process running. What wider fixtures started does not count."""
    threads, children = set(threading.enumerate()), set(psutil.Process().children())
    yield
    deadline = time.monotonic() + LEAVE_SECONDS
    while (left := _threads(threads) + _children(children)) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not left, f"left behind: {left}"


def _threads(before: set[threading.Thread]) -> list[str]:
    # A dummy stands for a thread that was not started by Python; it stays listed when that thread is gone.
    found = set(threading.enumerate()) - before
    return [f"thread {one.name}" for one in found if not isinstance(one, threading._DummyThread)]


def _children(before: set[psutil.Process]) -> list[str]:
    found = set(psutil.Process().children()) - before
    return [f"process {one.pid}" for one in found if one.is_running()]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if os.environ.get(SERVICES_VARIABLE) == "1" and (skipped := terminalreporter.stats.get("skipped")):
        terminalreporter.section("skipped although everything is installed")
        for report in skipped:
            terminalreporter.write_line(f"{report.nodeid}: {report.longrepr}")


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    skipped = reporter.stats.get("skipped", []) if reporter is not None else []
    failures = [report for report in skipped if MISSING_RIGHTS not in str(report.longrepr)]
    if os.environ.get(SERVICES_VARIABLE) == "1" and failures and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
