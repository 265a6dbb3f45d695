"""What decoding takes of memory, by format: the figures of `imaging/costs.py`.

    python -m benchmarks.imaging_memory [--megapixels 9] [FILE...]

Each line is a process of its own that inspects one image, or makes a rendition of it. Shown is by how much its peaks of
resident memory and of address space (VmHWM, VmPeak) rose, in bytes a pixel; what `cost_of` expects beside the file; and
the processor time for a megapixel of all frames. More images can be given as files (HEIC, which Pillow cannot write).
"""

from __future__ import annotations

import argparse
import io
import mmap
import os
import re
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from multiprocessing import get_context
from pathlib import Path

from PIL import Image, ImageDraw
from testing.odd_images import interlaced_png, scan_bomb

from elastic_images.core.rendition_spec import RenditionSpec
from elastic_images.imaging.costs import cost_of
from elastic_images.imaging.header import read_header
from elastic_images.imaging.inspection import inspect
from elastic_images.imaging.limits import Limits
from elastic_images.imaging.rendering import render

SPECS = {"inspect": None, "thumb": RenditionSpec(320, 320), "whole": RenditionSpec(format="jpeg")}


def picture(side: int, mode: str = "RGB") -> Image.Image:
    """A picture that neither compresses to nothing nor takes for ever to encode."""
    image = Image.effect_noise((side, side), 30).convert("RGB")
    ImageDraw.Draw(image).ellipse((side // 4, side // 4, side // 2, side // 2), fill=(200, 30, 90))
    if mode in ("RGBA", "LA"):
        image.putalpha(Image.linear_gradient("L").resize((side, side)))
    return image.quantize(256) if mode == "P" else image.convert(mode)


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    """It as a file."""
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def cases(side: int) -> Iterator[tuple[str, Callable[[], bytes]]]:
    """Names, and what makes their files."""

    def of(kind: str, mode: str = "RGB", **options: object) -> Callable[[], bytes]:
        return lambda: encoded(picture(side, mode), kind, **options)

    for mode in ("RGB", "L", "CMYK"):
        yield f"JPEG {mode}", of("JPEG", mode)
    for sampling in ("4:2:0", "4:4:4"):
        yield f"JPEG progressive {sampling}", of("JPEG", progressive=True, subsampling=sampling)
    yield "JPEG 200 scans", partial(scan_bomb, side, side, 200)
    yield "JPEG without end", lambda: encoded(picture(side), "JPEG")[:-2]
    for mode in ("RGB", "RGBA", "P", "L", "1"):
        yield f"PNG {mode}", of("PNG", mode, compress_level=1)
    yield "PNG interlaced", lambda: interlaced_png(picture(side))
    yield "PNG empty", lambda: encoded(Image.new("RGB", (side, side)), "PNG")
    yield "GIF", of("GIF", "P")
    yield "WEBP RGB", of("WEBP", method=0)
    yield "WEBP RGBA", of("WEBP", "RGBA", method=0)
    yield "WEBP empty", lambda: encoded(Image.new("RGB", (side, side)), "WEBP", lossless=True, method=0, quality=0)
    yield "AVIF RGB", of("AVIF", speed=10)
    yield "AVIF RGBA", of("AVIF", "RGBA", speed=10)
    yield "AVIF 4:4:4", of("AVIF", speed=10, subsampling="4:4:4")
    for mode in ("RGB", "L", "CMYK", "F"):
        yield f"TIFF {mode}", of("TIFF", mode, compression="tiff_lzw")
    yield "TIFF jpeg", of("TIFF", compression="jpeg")
    yield "TIFF fax", of("TIFF", "1", compression="group4")
    yield "BMP RGB", of("BMP")
    for kind in ("GIF", "PNG", "WEBP", "AVIF", "TIFF"):
        yield f"{kind} 4 frames", partial(animation, kind, side // 2)


def animation(kind: str, side: int) -> bytes:
    """Four frames that differ all over."""
    frames = [picture(side, "P" if kind == "GIF" else "RGB").rotate(90 * turn) for turn in range(4)]
    options = {"AVIF": {"speed": 10}, "WEBP": {"method": 0}}.get(kind, {})
    return encoded(frames[0], kind, save_all=True, append_images=frames[1:], **options)


def measured(path: str, spec: RenditionSpec | None) -> tuple[float, float, float]:
    """By how much resident memory and address space rose, and the processor time."""
    with Path(path).open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as body:
        before, started = peaks(), time.process_time()
        if spec is None:
            inspect(body, Limits())
        else:
            render(body, spec)
    after = peaks()
    return after[0] - before[0], after[1] - before[1], time.process_time() - started


def peaks() -> tuple[float, float]:
    """Of resident memory and of address space, in bytes."""
    text = Path("/proc/self/status").read_text(encoding="ascii")
    found = [re.search(rf"{name}:\s+(\d+)", text) for name in ("VmHWM", "VmPeak")]
    resident, space = (int(match[1]) * 1024 if match else 0 for match in found)
    return resident, space


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--megapixels", type=float, default=9.0)
    options.add_argument("--only", default="", help="cases whose name contains this")
    options.add_argument("files", nargs="*", type=Path)
    chosen = options.parse_args()
    os.environ["MALLOC_ARENA_MAX"] = "1"  # as the template of the workers has it
    side = int((chosen.megapixels * 1e6) ** 0.5)
    print(f"{'image':24}{'what':10}{'resident':>10}{'space':>10}{'expected':>10}{'ms/MP':>8}")
    with tempfile.TemporaryDirectory() as folder:
        warm, path = Path(folder, "warm"), Path(folder, "image")
        warm.write_bytes(encoded(picture(64), "JPEG"))
        files = [(file.name, file.read_bytes) for file in chosen.files]
        for name, make in [*files, *cases(side)]:
            if chosen.only in name:
                path.write_bytes(make())
                for what, spec in SPECS.items():
                    show(name, what, spec, path, warm)


def show(name: str, what: str, spec: RenditionSpec | None, path: Path, warm: Path) -> None:
    """One line."""
    with get_context("spawn").Pool(1) as pool:
        pool.apply(measured, (str(warm), spec))  # what is loaded once
        resident, space, seconds = pool.apply(measured, (str(path), spec))
    body = path.read_bytes()
    header = read_header(body)
    pixels = header.width * header.height
    expected = cost_of(header, len(body), spec).memory_bytes
    figures = "".join(f"{value / pixels:10.1f}" for value in (resident, space, expected))
    more = "" if space <= expected + len(body) else "  MORE"
    print(f"{name:24}{what:10}{figures}{seconds * 1e9 / header.total_pixels:8.1f}{more}", flush=True)


if __name__ == "__main__":
    main()
