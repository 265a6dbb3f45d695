"""Which `Host` headers are ours. Pure.

With DNS rebinding, an attacker's host name resolves to our address, and the browser treats our answers as the
attacker's. Such requests carry the attacker's *name* in `Host`. An IP address cannot be rebound, so any address is
accepted when the system listens beyond loopback.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address

_LOOPBACK_NAMES = ("localhost", "127.0.0.1", "::1")


def split_host(header: str) -> tuple[str, int | None] | None:
    """Split `name` or `name:port` into the lower-case name (IPv6 without brackets) and the port; None if invalid."""
    text = header.strip()
    if text.startswith("["):
        name, closed, rest = text[1:].partition("]")
        if not closed or parse_address(name) is None:
            return None
    else:
        name, colon, port = text.partition(":")
        rest = colon + port
    if not name or any(character in "/\\@?# \t,%[]" for character in name):
        return None
    if rest and not (rest[0] == ":" and rest[1:].isascii() and rest[1:].isdigit() and int(rest[1:]) <= 65535):
        return None
    return name.lower().removesuffix("."), int(rest[1:]) if rest else None


def parse_address(text: str) -> IPv4Address | IPv6Address | None:
    """The IP address (IPv4-mapped IPv6 as IPv4), or None."""
    try:
        address = ip_address(text)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


@dataclass(frozen=True, slots=True)
class HostRules:
    """Lower-case names without ports; suffixes start with a dot."""

    names: frozenset[str]
    suffixes: tuple[str, ...] = ()
    any_address: bool = False
    anything: bool = False

    def allow(self, header: str | None) -> bool:
        """Whether this `Host` is ours. The port is ignored: proxies and tunnels change it."""
        if self.anything:
            return True
        split = split_host(header or "")
        if split is None:
            return False
        name = split[0]
        address = parse_address(name)
        if address is not None:
            return self.any_address or address.is_loopback or str(address) in self.names
        return name in self.names or name.endswith(self.suffixes) if self.suffixes else name in self.names


def host_rules(
    *, bind: str, advertise: str | None, allowed_hosts: Iterable[str], machine_names: Iterable[str]
) -> HostRules:
    """Which hosts to allow.

    Always the loopback names, `bind`, `advertise` and `allowed_hosts` (`.example.org` and `*.example.org` allow all
    subdomains, `*` allows everything). If `bind` is not loopback, also `machine_names` and every IP address.
    """
    names = {*_LOOPBACK_NAMES}
    suffixes = []
    anything = False
    for text in filter(None, (bind, advertise, *allowed_hosts)):
        if text == "*":
            anything = True
        elif text.startswith(("*.", ".")):
            suffixes.append(text.removeprefix("*").lower())
        else:
            names.add(_name(text))
    address = parse_address(bind.strip("[]"))
    beyond_loopback = not (bind == "localhost" or (address is not None and address.is_loopback))
    if beyond_loopback:
        names.update(_name(name) for name in machine_names if name)
    return HostRules(frozenset(names), tuple(suffixes), any_address=beyond_loopback, anything=anything)


def _name(text: str) -> str:
    address = parse_address(text.strip("[]"))
    if address is not None:
        return str(address)
    split = split_host(text)
    return split[0] if split else text.lower()
