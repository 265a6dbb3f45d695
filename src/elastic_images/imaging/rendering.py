"""Makes renditions: smaller, upright, in sRGB, without metadata, of the first frame."""

from __future__ import annotations

from PIL import Image

from elastic_images.core.rendition_spec import Format, RenditionSpec
from elastic_images.imaging.colour import profile_of, to_8_bits, to_srgb
from elastic_images.imaging.decoding import decoder_errors, loaded, open_image, orientation_of
from elastic_images.imaging.encoding import CONTENT_TYPES, encode
from elastic_images.imaging.formats import Buffer
from elastic_images.imaging.geometry import Placing, place
from elastic_images.imaging.header import read_header
from elastic_images.imaging.headers.facts import Header
from elastic_images.imaging.imaging import Rendition

_KEPT: dict[str, Format] = {"JPEG": "jpeg", "PNG": "png", "WEBP": "webp", "AVIF": "avif", "GIF": "png"}
_TURNS = (
    None,
    Image.Transpose.FLIP_LEFT_RIGHT,
    Image.Transpose.ROTATE_180,
    Image.Transpose.FLIP_TOP_BOTTOM,
    Image.Transpose.TRANSPOSE,
    Image.Transpose.ROTATE_270,
    Image.Transpose.TRANSVERSE,
    Image.Transpose.ROTATE_90,
)
_MAX_COLOURS = 256


def render(data: Buffer, spec: RenditionSpec) -> Rendition:
    """The rendition that `spec` describes. An image that is all of it already, and lighter, is returned as it is.

    Raises:
        InvalidRequest: the spec's gravity is unknown.
        NotAnImage, BrokenImage, MemoryError: as `inspection.inspect`.
    """
    header = read_header(data)
    with decoder_errors(header.format), open_image(header, data) as opened:
        upright, placing, has_palette = draw(opened, header, spec)
    # What browsers do not show, or nobody sends, becomes a PNG where a JPEG would blur it or lose its transparency.
    kind = spec.format or _KEPT.get(header.format) or ("png" if has_palette or upright.mode[-1] == "A" else "jpeg")
    if kind == "png" and has_palette:
        upright = _with_palette(upright)
    made = encode(upright, kind, spec.quality)
    if _is_enough(header, placing, kind) and len(data) <= len(made):
        made = data[:]
    return Rendition(made, CONTENT_TYPES[kind], *upright.size)


def draw(opened: Image.Image, header: Header, spec: RenditionSpec) -> tuple[Image.Image, Placing, bool]:
    """The pixels of a rendition: upright, in sRGB. Also where they come from, and whether they had a palette."""
    orientation = orientation_of(opened, header.format)
    placing = place(opened.size, orientation, spec)
    # Read before the pixels are: Pillow replaces the information with that of what it decoded.
    profile = profile_of(opened, header.coding)
    pixels, has_palette = _scaled(opened, placing)
    pixels = to_srgb(pixels, profile, like_chromium=header.format == "JPEG")
    turn = _TURNS[orientation - 1]
    return (pixels.transpose(turn) if turn is not None else pixels), placing, has_palette


def _scaled(image: Image.Image, placing: Placing) -> tuple[Image.Image, bool]:
    """The pixels in the rendition's size, still as stored in turn and colour; and whether they had a palette."""
    across, down = placing.stored_size
    stored = image.size
    if hasattr(image, "draft"):
        # JPEGs can be decoded at 1/8, 1/4 or 1/2 of their size, which saves most of the work.
        left, top, right, bottom = placing.box
        image.draft(None, (int(across * stored[0] / (right - left)), int(down * stored[1] / (bottom - top))))
    decoded = loaded(image)
    has_palette = decoded.mode == "P"
    pixels = to_8_bits(decoded)
    fx, fy = pixels.width / stored[0], pixels.height / stored[1]
    left, top, right, bottom = placing.box
    box = (left * fx, top * fy, min(right * fx, pixels.width), min(bottom * fy, pixels.height))
    if pixels.size == (across, down) and box == (0, 0, across, down):
        resized = pixels
    else:
        resized = pixels.resize((across, down), Image.Resampling.LANCZOS, box, reducing_gap=2.0)
    return (resized.convert("RGB") if resized.mode == "RGBX" else resized), has_palette


def _with_palette(image: Image.Image) -> Image.Image:
    if image.mode in ("L", "LA"):
        return image
    few = image.getcolors(_MAX_COLOURS)
    method = Image.Quantize.FASTOCTREE if image.mode == "RGBA" else Image.Quantize.MEDIANCUT
    return image.quantize(len(few) if few else _MAX_COLOURS, method)


def _is_enough(header: Header, placing: Placing, kind: Format) -> bool:
    """Whether the stored file is the rendition: the same pixels in the same format, and nothing else."""
    return (
        header.whole
        and not header.has_extras
        and header.frames == 1
        and header.format.lower() == kind
        and (placing.orientation, placing.width, placing.height) == (1, header.width, header.height)
    )
