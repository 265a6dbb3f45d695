"""The number of the protocol that our processes speak with each other.

It grows when a call changes in a way that older processes do not understand. Processes one number apart work together,
because they do during a reload and during an upgrade of several hosts.
"""

from __future__ import annotations

from elastic_images.core.errors import Conflict

# 2: renditions by spec, made by nodes (`/renditions/<name>`). 3: who may see an image (`X-Image-Visibility`).
PROTOCOL = 3
PROTOCOL_HEADER = "X-Elastic-Images-Protocol"


def check_protocol(named: str | None) -> None:
    """Check the number that a caller names in `PROTOCOL_HEADER`; the first version names none.

    Raises:
        Conflict: it is too old or too new.
    """
    number = _number(named) or PROTOCOL
    if abs(number - PROTOCOL) > 1:
        raise Conflict(
            f"The caller speaks protocol {number} and this process {PROTOCOL}: upgrade both to neighbouring versions."
        )


def knows_visibility(named: str | None) -> bool:
    """Whether a caller that names this number obeys the visibility of what it gets; others see what is public."""
    return _number(named) >= 3


def _number(named: str | None) -> int:
    return int(named) if named and named.isascii() and named.isdecimal() and len(named) < 10 else 0
