"""Who may do what under /cache/, decided in one place for every endpoint, before any of them sees the request.

In this order: the Host, the credential, and, for whatever changes something, where it was sent from. Endpoints find in
`request.state.who` who asks, for the audit log.
"""

import logging
from dataclasses import dataclass
from urllib.parse import quote

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cache.errors import CacheFault
from cache.stores.base import Clock
from gateway.admin.attempts import Attempts
from gateway.admin.policy import Policy
from gateway.admin.replies import Problem
from gateway.admin.sessions import Session, Sessions

log = logging.getLogger("lookalike")

COOKIE = "lookalike-session"
CSRF_HEADER = "x-lookalike-csrf"
MOUNT = "/cache"
# Container probes know no token. They are told no more than that, by a word and the status.
_LIVENESS = frozenset(("/health", "/health/live"))
_READINESS = "/health/ready"
_SAFE = frozenset(("GET", "HEAD", "OPTIONS"))
# What only a proxy adds. Not every proxy does: docs/admin.md says to set a token behind one.
_FORWARDED = ("forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip")
_OWN_SITE = frozenset(("same-origin", "none"))  # none: the person's own doing, such as an address typed
# For every reply; a page that needs more than nothing says so itself.
_HEADERS = {
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "same-origin",  # with no-referrer, browsers send `Origin: null` along with our own forms
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}


@dataclass(frozen=True, slots=True)
class Who:
    """Who asks. `name` is for logs; `session` is set for browsers that logged in."""

    name: str
    session: Session | None = None

    @property
    def could_be_a_page(self) -> bool:
        """Whether a browser might have sent this without its user's will: no page can make it send the header that
        a token comes in."""
        return self.name != "token"


class Access:
    """The rules, for as long as the gateway runs."""

    def __init__(self, policy: Policy, secret: bytes, clock: Clock) -> None:
        self.policy = policy
        self.sessions = Sessions(secret, policy.token or b"")
        self.clock = clock
        self._attempts = Attempts()

    def accept(self, request: Request, given: str) -> bool:
        """Whether this is the token. Raises Problem for whoever has guessed too often."""
        address, now_s = address_of(request), self.clock()
        if wait_s := self._attempts.wait_s(address, now_s):
            again = {"retry-after": str(int(wait_s) + 1)}
            raise Problem(429, "too_many_attempts", f"too many wrong tokens; again in {wait_s:.0f} s", again)
        if self.policy.is_token(given):
            return True
        self._attempts.failed(address, now_s)
        log.warning("a wrong admin token was given by %s", address)
        return False

    def session_of(self, request: Request) -> Session | None:
        cookie = request.cookies.get(COOKIE)
        return None if cookie is None or self.policy.token is None else self.sessions.read(cookie, self.clock())

    def who(self, request: Request) -> Who | None:
        """None: nobody that may. Raises Problem."""
        if self.policy.token is None:
            if any(name in request.headers for name in _FORWARDED):
                raise Problem(403, "through_proxy", "this came through a proxy: set admin_token (see docs/admin.md)")
            return Who("loopback" if self.policy.loopback else "open")
        if (given := request.headers.get("authorization")) is not None:
            scheme, _, token = given.partition(" ")
            return Who("token") if scheme.lower() == "bearer" and self.accept(request, token.strip()) else None
        session = self.session_of(request)
        return Who(session.name, session) if session else None

    def refuse_other_hosts(self, request: Request) -> None:
        if not self.policy.goes_by(request.headers.get("host", "")):
            names = "by localhost or its address" if self.policy.loopback else "by its address"
            raise Problem(421, "wrong_host", f"call this gateway {names}, or name the origin in admin_origins")

    def refuse_other_sites(self, request: Request) -> None:
        """For what changes something: was it a page of ours, or no page at all?"""
        site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
        own_site = site is None or site in _OWN_SITE
        own_origin = origin is None or self.policy.is_own(origin, request.headers.get("host", ""))
        if not (own_site and own_origin):
            raise Problem(403, "cross_site", "sent by a page of another site")

    def refuse_forged(self, request: Request, session: Session, given: str | None = None) -> None:
        if not self.sessions.is_csrf(session, given or request.headers.get(CSRF_HEADER, "")):
            raise Problem(403, "csrf", "send the session's token (GET /cache/session) as X-Lookalike-CSRF")


class Guarded:
    """The endpoints, behind the rules. `open_paths` see to themselves: the log-in has to be reached without one."""

    def __init__(self, app: ASGIApp, access: Access, open_paths: frozenset[str]) -> None:
        self._app = app
        self._access = access
        self._open_paths = open_paths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request, guarded = Request(scope, receive), _with_headers(send)
        try:
            app = self._admitted(request)
            await app(scope, receive, guarded)
        except Problem as problem:
            await problem.reply()(scope, receive, guarded)
        except CacheFault as fault:
            log.warning("%s %s: %s", scope["method"], scope["path"], fault)
            refusal = _refuse(503, "store_fault", f"the store could not do it: {fault}")
            await refusal(scope, receive, guarded)

    def _admitted(self, request: Request) -> ASGIApp:
        """What answers the request. Raises Problem."""
        access, path = self._access, request.scope["path"].removeprefix(MOUNT)
        if not path.isprintable():
            raise Problem(404, "not_found", "no path here has a character that cannot be printed")
        probe = (path in _LIVENESS or path == _READINESS) and request.method in _SAFE
        if access.policy.off:
            return self._probed(path) if probe else _refuse(404, "off", "admin_access is off")
        if probe:
            return self._app if self._may_see_health(request) else self._probed(path)
        access.refuse_other_hosts(request)
        if path in self._open_paths:
            return self._app
        who = access.who(request)
        if who is None:
            return self._log_in(request)
        if request.method not in _SAFE:
            if who.could_be_a_page:
                access.refuse_other_sites(request)
            if who.session is not None:
                access.refuse_forged(request, who.session)
            _refuse_forms(request, path)
        request.state.who = who
        return self._app

    def _probed(self, path: str) -> ASGIApp:
        return _alive() if path in _LIVENESS else _status_only(self._app)

    def _may_see_health(self, request: Request) -> bool:
        """Probes know no token, and some no Host; a problem that another path would be refused for is none here."""
        try:
            self._access.refuse_other_hosts(request)
            request.state.who = self._access.who(request)
        except Problem:
            return False
        return request.state.who is not None

    def _log_in(self, request: Request) -> ASGIApp:
        if request.method == "GET" and "text/html" in request.headers.get("accept", ""):
            return RedirectResponse(f"{MOUNT}/login?next={quote(request.scope['path'], safe='/')}", 303)
        words = "this needs the admin token: Authorization: Bearer <token>, or a log-in at /cache/login"
        return _refuse(401, "unauthorized", words, {"www-authenticate": 'Bearer realm="lookalike"'})


def address_of(request: Request) -> str:
    return request.client.host if request.client else "unknown"


def _alive() -> ASGIApp:
    return JSONResponse({"status": "ok"})


def _status_only(app: ASGIApp) -> ASGIApp:
    """The reply of `app`, of which only the status is passed on."""

    async def asked(scope: Scope, receive: Receive, send: Send) -> None:
        async def take(message: Message) -> None:
            if message["type"] == "http.response.start":
                status = message["status"]
                reply = JSONResponse({"status": "ready" if status == 200 else "not-ready"}, status)
                await reply(scope, receive, send)

        await app(scope, receive, take)

    return asked


def _refuse(status: int, code: str, message: str, headers: dict[str, str] | None = None) -> ASGIApp:
    return Problem(status, code, message, headers).reply()


def _refuse_forms(request: Request, path: str) -> None:
    """A form of another site can post text and form fields without the browser asking first, and nothing else."""
    if request.method == "DELETE" and request.headers.get("content-length", "0") == "0":
        return
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    picture = kind.startswith("image/") or kind == "application/octet-stream"
    if not (kind == "application/json" or (picture and path == "/forget")):
        wanted = "image/… or application/octet-stream" if path == "/forget" else "application/json"
        raise Problem(415, "media_type", f"the Content-Type must be {wanted}")


def _with_headers(send: Send) -> Send:
    async def guarded(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in _HEADERS.items():
                headers.setdefault(name, value)
        await send(message)

    return guarded
