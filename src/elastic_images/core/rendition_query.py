"""What the query of an image's URL asks for: the parameters, checked, as a rendition. Pure."""

from __future__ import annotations

import re
from collections.abc import Container, Mapping
from dataclasses import dataclass, replace
from typing import cast
from urllib.parse import parse_qsl, urlencode

from elastic_images.core.errors import InvalidRequest
from elastic_images.core.rendition_spec import FITS, FORMATS, GRAVITIES, MAX_SIDE, Fit, Format, RenditionSpec

MAX_PARAMETERS = 20
"""In a query, the ignored ones included."""
RENDITION_PARAMETERS = frozenset({"w", "h", "fit", "gravity", "ar", "dpr", "format", "q", "preset", "rendition", "v"})
SIGNATURE_PARAMETERS = ("exp", "kid", "sig")
"""Those of signed links (`signed_links`): ours too, and no part of what is asked for."""
_OURS = RENDITION_PARAMETERS.union(SIGNATURE_PARAMETERS)
_OTHERS = {
    "width": "w",
    "height": "h",
    "size": "w and h",
    "quality": "q",
    "fm": "format",
    "auto": "format=auto",
    "crop": "fit=cover, and gravity for the part to keep",
    "resize": "w, h and fit",
    "tr": "w, h, fit, format and q",
}
"""Parameters of other services, and ours for the same."""
_OTHER_FITS = {"contain": "inside", "scale-down": "inside", "max": "inside", "clip": "inside", "crop": "cover"}
_OTHER_FORMATS = {"jpg": "jpeg"}
_DPRS = {"1": 1.0, "1.5": 1.5, "2": 2.0, "3": 3.0}
_RATIO = re.compile(r"([1-9][0-9]{0,4}):([1-9][0-9]{0,4})", re.ASCII).fullmatch


@dataclass(frozen=True, slots=True)
class RenditionQuery:
    """What was asked for: the parameters as given, but for a preset's, which are filled in."""

    width: int | None = None
    height: int | None = None
    ratio: tuple[int, int] | None = None
    """`ar`: the height follows from the width."""
    fit: Fit = "inside"
    gravity: str = "center"
    dpr: float = 1.0
    format: Format | None = None
    auto: bool = False
    """The best format that the client names in `Accept`, if it names one."""
    quality: int | None = None
    preset: str | None = None
    preset_quality: int | None = None
    """The preset's own, unless there is a `quality`."""
    version: str | None = None
    """`v`: the beginning of the original's SHA-256 that makes the address immutable."""

    @property
    def base_height(self) -> int | None:
        """The height before `dpr`."""
        if self.ratio is None or self.width is None:
            return self.height
        return ratio_height(self.width, self.ratio)

    def spec(self, accept: str) -> RenditionSpec | None:
        """The rendition, for a client that sends this `Accept`; None for the original itself."""
        width, height = (side and int(side * self.dpr + 0.5) for side in (self.width, self.base_height))
        # With one side only, to fill the box and to fit into it are the same.
        cover = self.fit == "cover" and width is not None and height is not None
        made = best_format(accept) if self.auto else self.format
        found = RenditionSpec(
            width,
            height,
            "cover" if cover else "inside",
            self.gravity if cover else "center",
            made,
            None if made == "png" else self.quality or self.preset_quality,
        )
        return None if found == _AS_IT_IS else found

    @property
    def text(self) -> str:
        """It as a query, in the order of the documentation."""
        sized = [] if self.preset else [("w", self.width), ("h", self.height), ("fit", self._told_fit)]
        given: list[tuple[str, object]] = [
            ("preset", self.preset),
            *sized,
            ("ar", self.ratio and f"{self.ratio[0]}:{self.ratio[1]}"),
            ("gravity", None if self.gravity == "center" else self.gravity),
            ("dpr", None if self.dpr == 1 else f"{self.dpr:g}"),
            ("format", "auto" if self.auto else self.format),
            ("q", self.quality),
            ("v", self.version),
        ]
        return urlencode([(name, value) for name, value in given if value is not None], safe=":")

    @property
    def _told_fit(self) -> str | None:
        usual = "inside" if self.ratio is None else "cover"
        return None if self.fit == usual else self.fit


_ORIGINAL, _AS_IT_IS = RenditionQuery(), RenditionSpec()
_PRESET_NAME = re.compile(r"[a-z0-9_-]{1,64}", re.ASCII).fullmatch


def ratio_height(width: int, ratio: tuple[int, int]) -> int:
    """The height to a width."""
    return max(1, round(width * ratio[1] / ratio[0]))


def parse_preset(text: str) -> tuple[str, RenditionQuery]:
    """The name of a preset and what it means: `card=w=400&h=300&fit=cover`. Raises InvalidRequest."""
    name, _, query = text.partition("=")
    if not _PRESET_NAME(name):
        raise InvalidRequest(f"A preset's name has up to 64 of a-z, 0-9, - and _, unlike {_shown(name)}.")
    found = parse_query(query, {})
    if found.version is not None or (not found.auto and found.spec("") is None):
        raise InvalidRequest(f"The preset {name} says neither size nor format.")
    return name, found


def parse_query(query: str, presets: Mapping[str, RenditionQuery]) -> RenditionQuery:
    """What a query string asks for. Parameters that mean nothing here are ignored.

    Raises:
        InvalidRequest: says which parameter is wrong, and what is right.
    """
    given = our_parameters(query)
    if not given:
        return _ORIGINAL
    if "rendition" in given:
        if "preset" in given:
            raise InvalidRequest("preset is given twice: rendition is its old name.")
        given["preset"] = given["rendition"]
    version = given.get("v")
    fit, dpr = given.get("fit"), given.get("dpr")
    if fit is not None and fit not in FITS:
        raise InvalidRequest(f"fit is {_one_of(FITS)}, not {_shown(fit)}.{_hint(_OTHER_FITS, fit, 'fit')}")
    if dpr is not None and dpr not in _DPRS:
        raise InvalidRequest(f"dpr is {_one_of(_DPRS)}, not {_shown(dpr)}.")
    found = _sized(given, fit) if "preset" not in given else _preset(given, presets)
    if dpr is not None and found.width is None and found.height is None:
        raise InvalidRequest("dpr multiplies a size: give w, h or preset as well.")
    found = replace(
        found,
        gravity=_word(given, "gravity", GRAVITIES) or found.gravity,
        dpr=found.dpr * _DPRS[dpr or "1"],
        quality=_whole(given, "q", 100),
        version=version,
    )
    wanted = _word(given, "format", ("auto", *FORMATS), _OTHER_FORMATS)
    if wanted is not None:
        found = replace(found, auto=wanted == "auto", format=None if wanted == "auto" else cast("Format", wanted))
    spec = found.spec("") or _AS_IT_IS
    if max(spec.width or 1, spec.height or 1) > MAX_SIDE:
        sides = f"{spec.width or '?'} x {spec.height or '?'}"
        raise InvalidRequest(f"This asks for {sides} pixels; {MAX_SIDE} a side is the most.")
    return found


def best_format(accept: str) -> Format | None:
    """The smallest format that an `Accept` names (RFC 9110, section 12.5.1); None for wildcards alone."""
    named = set()
    for part in accept.lower().split(","):
        media, *parameters = (piece.strip() for piece in part.split(";"))
        if not any(re.fullmatch(r"q=0(\.0*)?", parameter) for parameter in parameters):
            named.add(media)
    if "image/avif" in named:
        return "avif"
    return "webp" if "image/webp" in named else None


def our_parameters(query: str) -> dict[str, str]:
    """Our parameters in a query, decoded.

    Raises:
        InvalidRequest: one is given twice, is another service's, or there are too many.
    """
    return chosen_parameters(query, _OURS, _OTHERS)


def chosen_parameters(query: str, ours: Container[str], others: Mapping[str, str] | None = None) -> dict[str, str]:
    """Those of a query's parameters that are `ours`, decoded. `others` are wrong ones, with what to use instead.

    Raises:
        InvalidRequest: one of ours is given twice, one is among `others`, or there are too many.
    """
    try:
        pairs = parse_qsl(query, keep_blank_values=True, max_num_fields=MAX_PARAMETERS)
    except ValueError:
        raise InvalidRequest(f"A query may have at most {MAX_PARAMETERS} parameters.") from None
    given: dict[str, str] = {}
    for name, value in pairs:
        if others and name in others:
            raise InvalidRequest(f"There is no parameter {name!r}: use {others[name]}.")
        if name in ours:
            if name in given:
                raise InvalidRequest(f"{name} is given twice.")
            given[name] = value
    return given


def _sized(given: Mapping[str, str], fit: str | None) -> RenditionQuery:
    width, height = _whole(given, "w", MAX_SIDE), _whole(given, "h", MAX_SIDE)
    ratio = _ratio(given)
    if fit is not None and width is None and height is None:
        raise InvalidRequest("fit needs a box: give w, h, or both.")
    if ratio is not None and (width is None or height is not None):
        raise InvalidRequest("ar gives the height to a width: give w with it, and not h.")
    covers = fit == "cover" or (ratio is not None and fit is None)
    return RenditionQuery(width, height, ratio, "cover" if covers else "inside")


def _preset(given: Mapping[str, str], presets: Mapping[str, RenditionQuery]) -> RenditionQuery:
    name = given["preset"]
    if name not in presets:
        raise InvalidRequest(f"There is no preset {_shown(name)}: there are {', '.join(presets)}.")
    for other in ("w", "h", "fit", "ar"):
        if other in given:
            raise InvalidRequest(f"A preset has a size of its own: leave out {other}, or preset.")
    found = presets[name]
    return replace(found, preset=name, preset_quality=found.quality)


def _whole(given: Mapping[str, str], name: str, most: int) -> int | None:
    value = given.get(name)
    if value is None:
        return None
    if not (value.isascii() and value.isdecimal()) or len(value) > len(str(most)) or not 1 <= int(value) <= most:
        raise InvalidRequest(f"{name} is a whole number from 1 to {most}, not {_shown(value)}.")
    return int(value)


def _ratio(given: Mapping[str, str]) -> tuple[int, int] | None:
    value = given.get("ar")
    if value is None:
        return None
    found = _RATIO(value)
    if found is None:
        raise InvalidRequest(f"ar is two whole numbers with a colon, like 16:9, not {_shown(value)}.")
    return int(found[1]), int(found[2])


def _word(
    given: Mapping[str, str], name: str, words: tuple[str, ...], others: Mapping[str, str] | None = None
) -> str | None:
    value = given.get(name)
    if value is not None and value not in words:
        raise InvalidRequest(f"{name} is {_one_of(words)}, not {_shown(value)}.{_hint(others or {}, value, name)}")
    return value


def _one_of(words: Mapping[str, object] | tuple[str, ...]) -> str:
    *most, last = words
    return f"{', '.join(most)} or {last}"


def _hint(others: Mapping[str, str], value: str, name: str) -> str:
    return f" Say {name}={others[value]}." if value in others else ""


def _shown(value: str) -> str:
    return repr(value if len(value) <= 40 else value[:40] + "...")
