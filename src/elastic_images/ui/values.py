"""Formats values for people. Pure."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from markupsafe import Markup

_UNITS = ("bytes", "KB", "MB", "GB", "TB", "PB")
_UNIT = 1000
_PRODUCT = re.compile(r"(\w+)/(\d+)")
_BROWSERS = {
    "Edg": "Edge",
    "OPR": "Opera",
    "Firefox": "Firefox",
    "FxiOS": "Firefox",
    "SamsungBrowser": "Samsung Internet",
    "HeadlessChrome": "Headless Chrome",
    "Chrome": "Chrome",
    "CriOS": "Chrome",
    "Version": "Safari",
    "curl": "curl",
}
_SYSTEMS = {
    "Android": "Android",
    "iPhone": "iPhone",
    "iPad": "iPad",
    "Windows": "Windows",
    "Mac OS X": "macOS",
    "CrOS": "ChromeOS",
    "Linux": "Linux",
}
NONE = Markup("–")


def shown_size(size_bytes: float | None) -> str:
    """A size: `987 bytes`, `48.2 KB`, `3.1 MB`; a dash for None."""
    if size_bytes is None:
        return NONE
    size, unit = float(size_bytes), 0
    while round(size, 1) >= _UNIT and unit < len(_UNITS) - 1:
        size, unit = size / _UNIT, unit + 1
    return f"{size:.1f} {_UNITS[unit]}" if unit else f"{size:.0f} {'byte' if size == 1 else 'bytes'}"


def shown_count(count: float | None, one: str = "", many: str = "") -> str:
    """A number with thousands separators and, if given, the noun in singular or plural; a dash for None."""
    if count is None:
        return NONE
    number = f"{count:,.0f}"
    word = one if count == 1 else (many or (one and f"{one}s"))
    return f"{number} {word}" if word else number


def shown_percent(rate: float | None) -> str:
    """A rate from 0 to 1 as a percentage; a dash for None."""
    return NONE if rate is None else f"{100 * rate:.1f} %"


def shown_duration(seconds: float | None) -> str:
    """A duration in its two largest units: `45 s`, `12 min`, `3 h 5 min`, `2 d 4 h`; a dash for None."""
    if seconds is None:
        return NONE
    whole = max(0, int(seconds))
    minutes, hours, days = whole // 60, whole // 3600, whole // 86_400
    if days:
        return f"{days} d {hours % 24} h"
    if hours:
        return f"{hours} h {minutes % 60} min"
    return f"{minutes} min" if minutes else f"{whole} s"


def shown_browser(user_agent: str | None) -> str:
    """A readable User-Agent: `Firefox 144 on Windows`; an unknown one is returned unchanged."""
    if not user_agent:
        return "unknown"
    found = [_BROWSERS[name] + f" {version}" for name, version in _PRODUCT.findall(user_agent) if name in _BROWSERS]
    if not found:
        return user_agent
    # Most browsers claim several names; the most specific comes first in our list.
    browser = min(found, key=lambda one: list(_BROWSERS.values()).index(one.rpartition(" ")[0]))
    system = next((words for mark, words in _SYSTEMS.items() if mark in user_agent), "")
    return f"{browser} on {system}" if system else browser


def shown_time(seconds: float | None, form: str = "") -> Markup:
    """Seconds since the epoch as an HTML `time` in UTC, which `page.js` turns into local time; a dash for None.

    `form`: "clock" shows the time of day only.
    """
    if seconds is None:
        return NONE
    moment = datetime.fromtimestamp(seconds, UTC)
    text = moment.strftime("%H:%M:%S" if form == "clock" else "%Y-%m-%d %H:%M:%S")
    return Markup('<time datetime="{}"{}>{} UTC</time>').format(
        moment.isoformat(timespec="seconds"), Markup(' data-as="clock"') if form == "clock" else "", text
    )
