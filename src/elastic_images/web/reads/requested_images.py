"""What a request for `/images/<key>` asks for: an image or a rendition of it, and how it is presented."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from elastic_images.accounts.principal import Via
from elastic_images.core.errors import ElasticImagesError, RenditionNotAllowed
from elastic_images.core.keys import quote_key
from elastic_images.core.rendition_bound import RenditionBound, RenditionRules
from elastic_images.core.rendition_query import RenditionQuery, parse_preset, parse_query
from elastic_images.core.renditions import PRESETS, rendition_name
from elastic_images.core.signed_links import parse_signature
from elastic_images.front.reads import Environ
from elastic_images.settings import Settings
from elastic_images.web.request_path import IMAGES, key_in_path

_REMEMBERED_QUERIES = 4096
_REMEMBERED_CHARACTERS = 1024
"""Of a query: the parameters that mean nothing may be longer."""


class Presentation(NamedTuple):
    """What the query changes in the headers of an answer."""

    version: str | None = None
    """The version that makes the address immutable, if it is the current one."""
    varies: bool = False
    """The answer depends on `Accept`."""
    signed: bool = False
    """The address is a signed link."""


AS_USUAL = Presentation()


class _Judged(NamedTuple):
    asked: RenditionQuery
    nearest: RenditionQuery
    """What strangers get, if it is `open`."""
    open: bool
    presentation: Presentation


class RequestedImages:
    """Reads the paths and queries of requests. Safe to share between threads."""

    def __init__(
        self,
        rules: RenditionRules,
        caller: Callable[[Environ], Via],
        is_known: Callable[[Environ], bool] = lambda _environ: False,
    ) -> None:
        """`caller`: how the caller of a request is known; it may wait for the database, and raise Unauthenticated.

        `is_known`: whether `caller` would neither wait nor raise.
        """
        self._rules = rules
        self._is_known = is_known
        self._caller = caller
        self._judged: dict[str, _Judged] = {}
        """By query: pages repeat them, and reading one takes 20 us."""

    def name(self, environ: Environ) -> str:
        """The name that caches use for it (`core.renditions`).

        Raises:
            InvalidKey, InvalidRequest: the path or the query is wrong.
            RenditionNotAllowed: only callers with a token or a signed link may ask for it, and they get it to the
                pixel. A session is not enough: authors should see what visitors will see.
            Unauthenticated: it is asked for with a token that is not valid.
            SignatureInvalid, SignatureExpired: it is a signed link that is not right, whatever it asks for.
        """
        found = self._name(environ, self._caller)
        assert found is not None  # noqa: S101 - only a refused one has no name
        return found

    def name_for_strangers(self, environ: Environ) -> str | None:
        """As `name`, without waiting; None if it depends on who asks."""
        return self._name(environ, None)

    def presentation(self, query: str) -> Presentation:
        """How the answer to a request with this query, which was judged before, is presented."""
        return self._judge(query).presentation if query else AS_USUAL

    def is_member(self, environ: Environ) -> bool:
        """Whether the caller has a session or a token. May wait for the database."""
        if not ("HTTP_AUTHORIZATION" in environ or "HTTP_COOKIE" in environ):
            return False
        try:
            return self._caller(environ) in ("session", "token")
        except ElasticImagesError:
            return False

    def _name(self, environ: Environ, caller: Callable[[Environ], Via] | None) -> str | None:
        key = key_in_path(environ, IMAGES)
        query = environ.get("QUERY_STRING")
        if not query:
            return key
        asked, nearest, is_open, presentation = self._judge(query)
        if presentation.signed:
            if caller is not None:
                caller(environ)
            elif not self._is_known(environ):
                return None
        elif nearest is not asked:
            if is_open and "HTTP_AUTHORIZATION" not in environ:
                asked = nearest
            elif caller is None:
                return None
            elif caller(environ) != "token":
                if not is_open:
                    raise _not_allowed(key, nearest)
                asked = nearest
        spec = asked.spec(environ.get("HTTP_ACCEPT", ""))
        return key if spec is None else rendition_name(key, spec)

    def _judge(self, query: str) -> _Judged:
        judged = self._judged.get(query)
        if judged is None:
            asked = parse_query(query, self._rules.presets)
            bound = self._rules.bound
            nearest = asked if bound is None else bound.nearest(asked)
            is_signed = parse_signature(query) is not None
            presentation = Presentation(asked.version, asked.auto, is_signed)
            if presentation == AS_USUAL:
                presentation = AS_USUAL
            is_open = bound is None or bound.allows(asked)
            judged = _Judged(asked, asked if nearest == asked else nearest, is_open, presentation)
            if len(query) <= _REMEMBERED_CHARACTERS:
                if len(self._judged) >= _REMEMBERED_QUERIES:
                    self._judged = {}
                self._judged[query] = judged
        return judged


def _not_allowed(key: str, nearest: RenditionQuery) -> RenditionNotAllowed:
    path = f"{IMAGES}{quote_key(key)}?{nearest.text}"
    return RenditionNotAllowed(
        f"Visitors may not ask for this size or quality. The nearest that they may ask for is {path} . For any other, "
        "sign the address (POST /api/links; docs/links.md), send an API token ('Authorization: Bearer ...'), or add it "
        "to RENDITION_WIDTHS, RENDITION_RATIOS, RENDITION_QUALITIES or PRESETS.",
        nearest=path,
    )


def rendition_rules(settings: Settings) -> RenditionRules:
    """What may be asked for by these settings."""
    presets = {
        name: RenditionQuery(spec.width, spec.height, None, spec.fit, spec.gravity) for name, spec in PRESETS.items()
    }
    presets.update(map(parse_preset, settings.presets))
    if settings.renditions == "any" or settings.anonymous == "admin":
        return RenditionRules(presets, None)
    ratios = [ratio.split(":") for ratio in settings.rendition_ratios]
    bound = RenditionBound(
        settings.rendition_widths, tuple((int(wide), int(high)) for wide, high in ratios), settings.rendition_qualities
    )
    return RenditionRules(presets, bound)
