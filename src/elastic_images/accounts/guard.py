"""The checks before every route of `web` and `manager`: Host, cross-site rule, authentication, authorisation."""

from __future__ import annotations

import hashlib
import hmac
import socket
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, TypeVar, cast
from urllib.parse import quote

from flask import Flask, Response, current_app, g, redirect, request
from werkzeug.sansio.http import parse_cookie
from werkzeug.wrappers import Response as BaseResponse

from elastic_images.accounts.access import Anonymous, Rule, authorise, effective, images_are_open
from elastic_images.accounts.accounts import Accounts
from elastic_images.accounts.cross_site import check_cross_site, needs_form_token
from elastic_images.accounts.digests import digest
from elastic_images.accounts.hosts import host_rules
from elastic_images.accounts.known_browsers import LIFETIME_SECONDS, KnownBrowsers
from elastic_images.accounts.limits import source_of
from elastic_images.accounts.login_refusals import LoginRefusals
from elastic_images.accounts.principal import ANONYMOUS, Credential, Principal
from elastic_images.accounts.proxies import Client, Proxies
from elastic_images.accounts.sessions import NewSession, Session
from elastic_images.core.errors import CrossSite, Forbidden, InvalidRequest, Unauthenticated
from elastic_images.http.base_app import OPEN_PATHS
from elastic_images.http.problems import is_database_error
from elastic_images.http.public_path import public_path
from elastic_images.settings import Settings

View = TypeVar("View", bound=Callable[..., Any])

FORM_TOKEN = "form_token"  # noqa: S105 - a field's name
_RULE = "access_rule"
_MAX_KNOWN_HOSTS = 256


def rule(name: Rule) -> Callable[[View], View]:
    """Declare who may call a view; see `access.authorise` for the rules. Goes below the route decorator."""

    def declare(view: View) -> View:
        setattr(view, _RULE, name)
        return view

    return declare


def current_principal() -> Principal:
    """The principal of the current request."""
    return cast("Principal", g.principal)


def current_client() -> str:
    """Whose the current request is: a user, or else an address."""
    user_id = current_principal().user_id
    return source_of(_client().address) if user_id is None else f"user:{user_id}"


class Guard:
    """One per app. Thread-safe; call `install` once, before the first request."""

    def __init__(self, accounts: Accounts, settings: Settings, *, login_path: str = "/login") -> None:
        """Raises InvalidRequest for bad `TRUSTED_PROXIES`, ValueError without a secret key."""
        if not settings.secret_key:
            raise ValueError("the cookie's name needs the installation's secret key")
        self.accounts = accounts
        self.mode = cast("Anonymous", settings.anonymous)
        installation = hashlib.sha256(b"cookie-name:" + settings.secret_key.encode()).hexdigest()[:12]
        self.cookie_name = f"elastic_images_{installation}"
        """Includes the installation: cookies ignore ports, so two systems on one machine would log each other out."""
        machine = socket.gethostname()
        self._hosts = host_rules(
            bind=settings.host,
            advertise=settings.advertise,
            allowed_hosts=settings.allowed_hosts,
            machine_names=(machine, f"{machine}.local"),
        )
        self._known_hosts: dict[str, bool] = {}
        self._proxies = Proxies(settings.trusted_proxies)
        self._known_browsers = KnownBrowsers(settings.secret_key)
        self._login_path = login_path
        self.login_refusals = LoginRefusals(self._login_retry_after, self._prefix_of)
        self._by_link: Callable[[], Principal | None] = lambda: None

    def install(
        self, app: Flask, *, default: Rule | None = None, by_link: Callable[[], Principal | None] = lambda: None
    ) -> None:
        """Check every request to `app`, and give its templates `form_token()` and `principal()`.

        `default` is the rule of routes that declare none; without it, they answer 500. `by_link` gives the caller
        where the request's address is a link that says so; cookies and tokens then mean nothing.
        """
        self._by_link = by_link
        app.extensions[_RULE] = default
        app.before_request(self._check)
        app.after_request(_set_headers)
        app.jinja_env.globals.update(form_token=self.form_token, principal=current_principal)

    # For the data plane, which answers before Flask.

    @property
    def images_are_open(self) -> bool:
        """Whether `GET|HEAD /images/<key>` needs no credentials."""
        return images_are_open(self.mode)

    def host_allowed(self, environ: Mapping[str, Any]) -> bool:
        """Whether the request's `Host` is ours. Fast for hosts seen before."""
        return self._allows(self._proxies.client(environ).host)

    def principal_of(self, environ: Mapping[str, Any]) -> Principal:
        """The caller of a request. Asks the database if it has credentials.

        Raises Unauthenticated for a token that is not valid.
        """
        return self._identify(environ)[0]

    def principals_of(self, environs: Sequence[Mapping[str, Any]]) -> list[Principal | None]:
        """The callers of many requests, for a small part of the cost; None for those without valid credentials."""
        credentials = [self._credential(environ) for environ in environs]
        found = self.accounts.of_credentials(set(credentials))
        principals = (found.get(credential) for credential in credentials)
        return [principal and effective(self.mode, principal) for principal in principals]

    def recognise(self) -> None:
        """Make the caller known to an error's page, where no rule needed to know them. Raises nothing."""
        try:
            g.principal, g.session = self._identify(request.environ)
        except Exception as error:
            if not (isinstance(error, Unauthenticated) or is_database_error(error)):
                raise

    # For login pages.

    def log_in(self, response: BaseResponse, name: str, password: str) -> NewSession:
        """Start a session and set its cookie on `response`. The browser's previous session ends.

        Raises:
            Unauthenticated, TooManyRequests, Unavailable: see `Accounts.log_in`.
        """
        known = self._browser_cookie(name)
        browser = self._known_browsers.recognise(name, request.cookies.get(known, ""))
        new = self.accounts.log_in(name, password, address=_client().address, user_agent=_user_agent(), browser=browser)
        self._end_session()
        self._set_session_cookie(response, new)
        value = self._known_browsers.issue(name)
        set_cookie(response, known, value, max_age=LIFETIME_SECONDS, path=self._login_path, samesite="Strict")
        return new

    def change_password(self, response: BaseResponse, current: str, new: str) -> NewSession:
        """Change the caller's password: all their sessions end, and the response's cookie holds a new one.

        Nothing changes if it fails. A wrong current password counts as a failed login, to stop guessing.

        Raises:
            Forbidden: `current` is wrong.
            InvalidRequest: `new` is no good password.
            TooManyRequests, Unavailable: see `Accounts.log_in`.
        """
        session = cast("Session", g.session)
        browser = f"session {session.id}"
        try:
            user_id = self.accounts.check_password(
                session.user_name, current, address=_client().address, browser=browser
            )
        except Unauthenticated:
            raise Forbidden("The current password is wrong.") from None
        self.accounts.users.change(session.user_name, password=new)
        started = self.accounts.sessions.start(user_id, _client().address, _user_agent())
        self._set_session_cookie(response, started)
        return started

    def log_out(self, response: BaseResponse) -> None:
        """End the request's session, if any, and delete its cookie."""
        self._end_session()
        set_cookie(response, self.cookie_name, "", max_age=0)

    def _browser_cookie(self, name: str) -> str:
        return f"{self.cookie_name}_{self._known_browsers.cookie_suffix(name)}"

    def _login_retry_after(self, environ: Mapping[str, Any], name: str) -> int | None:
        cookies = parse_cookie(str(environ.get("HTTP_COOKIE") or ""))
        browser = self._known_browsers.recognise(name, cookies.get(self._browser_cookie(name)) or "")
        return self.accounts.login_retry_after(name, address=self._proxies.address_of(environ), browser=browser)

    def _prefix_of(self, environ: Mapping[str, Any]) -> str | None:
        client = self._proxies.client(environ)
        return client.prefix if self._allows(client.host) else None

    def form_token(self) -> str:
        """The value of a form's hidden field `form_token`; empty without a session."""
        session = cast("Session | None", g.get("session"))
        return session.form_token if session else ""

    def _set_session_cookie(self, response: BaseResponse, new: NewSession) -> None:
        lifetime = int(new.session.expires_at - new.session.created_at)
        set_cookie(response, self.cookie_name, new.secret, max_age=lifetime)

    def _end_session(self) -> None:
        secret = request.cookies.get(self.cookie_name)
        if secret:
            self.accounts.sessions.end(secret)

    def _allows(self, host: str | None) -> bool:
        known = self._known_hosts.get(host or "")
        if known is None:
            known = self._hosts.allow(host)
            if len(self._known_hosts) >= _MAX_KNOWN_HOSTS:
                self._known_hosts.clear()
            self._known_hosts[host or ""] = known
        return known

    def _check(self) -> BaseResponse | None:
        g.principal, g.session = effective(self.mode, ANONYMOUS), None
        g.client = client = self._proxies.client(request.environ)
        g.root = client.prefix
        if request.path in OPEN_PATHS:
            return None
        if not self._allows(client.host):
            raise InvalidRequest("Unknown Host. If it is yours, add it to ALLOWED_HOSTS.")
        origin, fetch_site = request.headers.get("Origin"), request.headers.get("Sec-Fetch-Site")
        declared = rule_of(current_app, request.endpoint) if request.endpoint else None
        linked = self._by_link() if request.endpoint else None
        # No browser adds a token or a link to a request by itself, as it does with cookies.
        is_deliberate = linked or (declared not in (None, "public", "login") and _bearer(request.environ) is not None)
        if not is_deliberate:
            check_cross_site(request.method, host=client.host, origin=origin, fetch_site=fetch_site)
        if request.endpoint is None:
            return None  # Flask answers 404 or 405
        if declared is None:
            raise RuntimeError(f"the route {request.endpoint!r} declares no rule")
        if declared == "public" or (declared == "image" and self.images_are_open):
            return None
        try:
            g.principal, g.session = (linked, None) if linked else self._identify(request.environ)
            via_session = g.principal.via == "session"
            if needs_form_token(request.method, via_session=via_session, origin=origin, fetch_site=fetch_site):
                self._check_form_token()
            authorise(self.mode, declared, request.method, g.principal)
        except Unauthenticated:
            if declared == "login":
                return None
            if not _wants_page():
                raise
            return redirect(self._login_address(), 303)
        return None

    def _identify(self, environ: Mapping[str, Any]) -> tuple[Principal, Session | None]:
        token = _bearer(environ)
        if token is not None:
            principal = self.accounts.of_token(token)
            if principal is None:
                raise Unauthenticated("Invalid, expired or revoked token.")
            return effective(self.mode, principal), None
        secret = self._session_secret(environ)
        found = self.accounts.of_session(secret) if secret else None
        if found is None:
            return effective(self.mode, ANONYMOUS), None
        session, principal = found
        return effective(self.mode, principal), session

    def _credential(self, environ: Mapping[str, Any]) -> Credential:
        token = _bearer(environ)
        if token is not None:
            return Credential("token", digest(token))
        return Credential("session", digest(self._session_secret(environ)))

    def _session_secret(self, environ: Mapping[str, Any]) -> str:
        # Read as Flask reads it: for `werkzeug.http.parse_cookie`, bytes that are no UTF-8 are an error.
        cookie = environ.get("HTTP_COOKIE")
        return parse_cookie(str(cookie)).get(self.cookie_name) or "" if cookie else ""

    def _check_form_token(self) -> None:
        # Read only small forms here: file uploads belong to the view.
        in_form = request.mimetype == "application/x-www-form-urlencoded"
        sent = request.headers.get("X-Form-Token") or (request.form.get(FORM_TOKEN) if in_form else None) or ""
        if not hmac.compare_digest(sent.encode("utf-8", "replace"), self.form_token().encode()):
            raise CrossSite("The form token is missing or wrong. Reload the page, or use an API token.")

    def _login_address(self) -> str:
        if request.method not in ("GET", "HEAD"):
            return self._login_path
        # Quoted twice: keys may contain spaces or question marks, and the whole URL becomes a parameter.
        query = f"?{request.query_string.decode('latin-1')}" if request.query_string else ""
        return f"{self._login_path}?next={quote(quote(request.path) + query, safe='/')}"


def set_cookie(
    response: BaseResponse,
    name: str,
    value: str,
    *,
    max_age: int,
    path: str = "/",
    samesite: Literal["Lax", "Strict"] = "Lax",
) -> None:
    """Set a cookie that scripts do not see, on a response to the current request. `max_age` 0 deletes it."""
    response.set_cookie(
        name,
        value,
        max_age=max_age,
        path=public_path(path),
        httponly=True,
        samesite=samesite,
        secure=_client().scheme == "https",
    )


def rule_of(app: Flask, endpoint: str) -> Rule | None:
    """The rule of an endpoint; None if there is none for it, and so it answers 500."""
    if endpoint == "static" or endpoint.endswith(".static") or f"/{endpoint}" in OPEN_PATHS:
        return "public"
    return cast("Rule | None", getattr(app.view_functions.get(endpoint), _RULE, app.extensions.get(_RULE)))


def _bearer(environ: Mapping[str, Any]) -> str | None:
    """The token that a request was sent with."""
    kind, _, secret = str(environ.get("HTTP_AUTHORIZATION") or "").partition(" ")
    return secret.strip() if kind.lower() == "bearer" else None


def _user_agent() -> str:
    return request.headers.get("User-Agent", "")


def _client() -> Client:
    return cast("Client", g.client)


def _wants_page() -> bool:
    """Whether to redirect to the login page instead of sending a problem document."""
    accepted = request.headers.get("Accept") or "*/*"
    if request.path == "/" and request.method in ("GET", "HEAD") and "Authorization" not in request.headers:
        # Uptime checks accept anything; send them where a browser would go.
        return "text/html" in accepted or "*/*" in accepted
    return not request.path.startswith("/api/") and "text/html" in accepted


def _set_headers(response: Response) -> Response:
    location = response.headers.get("Location", "")
    if location.startswith("/"):
        response.headers["Location"] = public_path(location)
    # `no-referrer` would make browsers send `Origin: null` with our own forms.
    response.headers.setdefault("Referrer-Policy", "same-origin")
    response.headers.setdefault("X-Content-Type-Options", "nosniff")
    if response.status_code == Unauthenticated.status:
        response.headers.setdefault("WWW-Authenticate", "Bearer")
    if request.endpoint and rule_of(current_app, request.endpoint) not in ("public", "image"):
        response.headers.setdefault("Cache-Control", "no-store")
    return response
