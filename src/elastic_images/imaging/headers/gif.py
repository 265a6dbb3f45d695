"""GIF (GIF89a, appendix A): blocks and frames."""

from __future__ import annotations

from elastic_images.imaging.formats import Buffer, damaged
from elastic_images.imaging.headers.facts import Header, Parts

_IMAGE, _EXTENSION, _TRAILER = 0x2C, 0x21, 0x3B
_CONTROL = 0xF9
_MAX_SUB_BLOCKS = 2_000_000
"""500 MB of usual sub-blocks; a file with a byte in each would take seconds to walk."""


def read(data: Buffer) -> Header:
    """The header of a GIF; see `read_header`."""
    width, height = int.from_bytes(data[6:8], "little"), int.from_bytes(data[8:10], "little")
    position, parts, sub_blocks = 13 + _table_bytes(data[10]), Parts("GIF"), 0
    frames, whole, extras, control = 0, False, False, False
    more_to_come = True  # within a block without pixels, or behind one that belongs to the next picture
    try:
        while position < len(data) and (block := data[position]) != _TRAILER:
            parts.next()
            more_to_come = True
            if block == _IMAGE:
                left, top, across, down = (
                    int.from_bytes(data[position + at : position + at + 2], "little") for at in (1, 3, 5, 7)
                )
                # Browsers grow the canvas for a first frame that is larger.
                if not frames:
                    width, height = max(width, left + across), max(height, top + down)
                position += 11 + _table_bytes(data[position + 9])
                frames += 1
                more_to_come = False
            elif block == _EXTENSION:
                control = data[position + 1] == _CONTROL
                extras = extras or not control
                position += 2
            elif frames:
                break  # what follows a picture is its own matter
            else:
                raise damaged("GIF", "it has an unknown part")
            while count := data[position]:
                position += count + 1
                sub_blocks += 1
                if sub_blocks > _MAX_SUB_BLOCKS:
                    raise damaged("GIF", f"it has more than {_MAX_SUB_BLOCKS:,} blocks")
            position += 1
            more_to_come = control and block == _EXTENSION
        else:
            whole = position < len(data)
    except IndexError:
        pass
    if not frames or (more_to_come and not whole):
        raise damaged("GIF", "its end is missing")
    return Header("GIF", width, height, frames, samples=1, whole=whole, has_extras=extras or position + 1 < len(data))


def _table_bytes(flags: int) -> int:
    return 3 << ((flags & 7) + 1) if flags & 0x80 else 0
