"""HTML of the dashboard: templates, what the browser may load, and the visitor's own language and looks.

The pages carry no inline script or style, and nothing from elsewhere: the Content-Security-Policy says so.
"""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from gateway.admin.dashboard.words import Lang, Words, chosen

BASE: Final = "/cache/dashboard"
_HERE = Path(__file__).parent
_TEMPLATES = Environment(
    loader=FileSystemLoader(_HERE / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
HEADERS: Final = {
    "content-security-policy": _POLICY,
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}
THEMES: Final = ("auto", "light", "dark")
_COOKIES: Final = {"lang": "lookalike_lang", "theme": "lookalike_theme"}
_YEAR_S: Final = 365 * 86400
_ASSETS: Final = {
    "dashboard.css": "text/css; charset=utf-8",
    "dashboard.js": "text/javascript; charset=utf-8",
    "charts.js": "text/javascript; charset=utf-8",
    "hits.js": "text/javascript; charset=utf-8",
    "chart.umd.min.js": "text/javascript; charset=utf-8",
    "chart.LICENSE.md": "text/plain; charset=utf-8",
    "mark.svg": "image/svg+xml",
}


@dataclass(frozen=True, slots=True)
class Visitor:
    """How a page is to look to whoever asks for it."""

    words: Words
    theme: str


def visitor(request: Request) -> Visitor:
    named = request.cookies.get(_COOKIES["lang"])
    theme = request.cookies.get(_COOKIES["theme"], "auto")
    lang = chosen(named, request.headers.get("accept-language", ""))
    return Visitor(Words(lang), theme if theme in THEMES else "auto")


def choice(request: Request) -> Response | None:
    """Where the address names a language or a look: that is remembered, and the page comes without it."""
    wanted = {name: request.query_params[name] for name in _COOKIES if name in request.query_params}
    if not wanted:
        return None
    rest = {name: value for name, value in request.query_params.items() if name not in _COOKIES}
    reply = RedirectResponse(request.url.path + (f"?{urlencode(rest)}" if rest else ""), 303, HEADERS)
    allowed = {"lang": tuple(Lang), "theme": THEMES}
    for name, value in wanted.items():
        if value in allowed[name]:
            reply.set_cookie(_COOKIES[name], value, max_age=_YEAR_S, path="/cache", httponly=True, samesite="strict")
    return reply


def page(request: Request, template: str, seen_by: Visitor, **values: Any) -> Response:
    """A whole page. `keep` is the query that links to another language or look carry along."""
    keep = "".join(f"{urlencode({name: value})}&" for name, value in request.query_params.items())
    html = _TEMPLATES.get_template(template).render(
        session=request.state.who.session is not None,
        base=BASE,
        words=seen_by.words,
        theme=seen_by.theme,
        keep=keep,
        **values,
    )
    return HTMLResponse(html, headers=HEADERS)


def fragment(name: str, words: Words, *values: Any) -> Markup:
    """A part of the overview, by the name of its macro."""
    module = _TEMPLATES.get_template("fragments.html.j2").make_module({"words": words, "base": BASE})
    return Markup(str(getattr(module, name)(*values)).strip())


async def asset(request: Request) -> Response:
    name = request.path_params["name"]
    if name not in _ASSETS:
        return Response("there is no such file", 404, media_type="text/plain", headers=HEADERS)
    fields = HEADERS | {"cache-control": "no-cache", "etag": f'"{_version()}"'}
    if request.headers.get("if-none-match") == fields["etag"]:
        return Response(status_code=304, headers=fields)
    return Response(_read(name), media_type=_ASSETS[name], headers=fields)


@cache
def _read(name: str) -> bytes:
    return (_HERE / "assets" / name).read_bytes()


@cache
def _version() -> str:
    """Changes whenever a file does."""
    import hashlib

    return hashlib.sha256(b"".join(_read(name) for name in sorted(_ASSETS))).hexdigest()[:16]
