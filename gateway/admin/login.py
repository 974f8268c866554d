"""/cache/login, /cache/logout and /cache/session: how a browser comes to a session, and out of it, without a script."""

import re
import secrets
from pathlib import Path
from urllib.parse import parse_qs

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response

from gateway.admin.access import COOKIE, CSRF_HEADER, MOUNT, Access
from gateway.admin.replies import Problem, body
from gateway.admin.sessions import LASTS_S

OPEN_PATHS = frozenset(("/login", "/logout"))
_FORM_BYTES_MAX = 4_096
_HOME = f"{MOUNT}/dashboard"
# Nothing that a browser could take for another host, such as //elsewhere or /\elsewhere.
_TARGET = re.compile(r"/cache/[A-Za-z0-9._~/-]*")

_WORDS = {
    "en": {
        "title": "log in",
        "token": "Admin token",
        "enter": "Log in",
        "where": "The token is what admin_token is set to where the gateway runs.",
        "wrong": "This is not the token.",
        "often": "Too many wrong tokens. Try again in {seconds} s.",
        "inside": "You are logged in.",
        "on": "Go on",
        "out": "Log out",
        "none": "This gateway needs no token.",
    },
    "zh": {
        "title": "登录",
        "token": "管理令牌",
        "enter": "登录",
        "where": "令牌即网关运行处 admin_token 的设置值。",
        "wrong": "令牌不正确。",
        "often": "错误次数过多，请在 {seconds} 秒后重试。",
        "inside": "您已登录。",
        "on": "继续",
        "out": "退出登录",
        "none": "此网关无需令牌。",
    },
}
_TEMPLATES = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"), autoescape=True, undefined=StrictUndefined
)


async def page(request: Request) -> Response:
    return _page(request, _target(request.query_params.get("next", "")))


async def log_in(request: Request) -> Response:
    access = _access(request)
    access.refuse_other_sites(request)
    form = await _form(request)
    target = _target(form.get("next", ""))
    try:
        if not access.accept(request, form.get("token", "").strip()):
            return _page(request, target, "wrong", 401)
    except Problem as problem:
        return _page(request, target, "often", problem.status, dict(problem.headers or {}))
    session = access.sessions.begin(access.clock())
    reply = RedirectResponse(target, 303)
    secure = request.url.scheme == "https"
    reply.set_cookie(
        COOKIE, access.sessions.cookie(session), LASTS_S, path=MOUNT, secure=secure, httponly=True, samesite="strict"
    )
    return reply


async def log_out(request: Request) -> Response:
    access = _access(request)
    access.refuse_other_sites(request)
    if (session := access.session_of(request)) is not None:
        given = request.headers.get(CSRF_HEADER) or (await _form(request)).get("csrf", "")
        access.refuse_forged(request, session, given)
        access.sessions.end(session, access.clock())
    reply = RedirectResponse(f"{MOUNT}/login", 303)
    reply.delete_cookie(COOKIE, path=MOUNT, httponly=True, samesite="strict")
    return reply


async def session(request: Request) -> Response:
    """Who the caller is, and for pages the token that their changes need."""
    who = request.state.who
    csrf = _access(request).sessions.csrf(who.session) if who.session else None
    return JSONResponse({"who": who.name, "csrf": csrf, "expires_s": who.session.expires_s if who.session else None})


def _page(
    request: Request, target: str, problem: str | None = None, status: int = 200, headers: dict[str, str] | None = None
) -> Response:
    access, language = _access(request), _language(request)
    words, nonce = _WORDS[language], secrets.token_urlsafe(16)
    inside = access.session_of(request)
    html = _TEMPLATES.get_template("login.html.j2").render(
        lang=language,
        words=words,
        nonce=nonce,
        target=target,
        needed=access.policy.token is not None,
        csrf=access.sessions.csrf(inside) if inside else None,
        problem=words[problem].format(seconds=(headers or {}).get("retry-after", "")) if problem else None,
    )
    rules = (
        f"default-src 'none'; style-src 'nonce-{nonce}'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    )
    return HTMLResponse(html, status, {"content-security-policy": rules, "vary": "accept-language"} | (headers or {}))


async def _form(request: Request) -> dict[str, str]:
    raw = await body(request, _FORM_BYTES_MAX)
    return {name: values[0] for name, values in parse_qs(raw.decode("utf-8", "replace"), max_num_fields=8).items()}


def _target(wanted: str) -> str:
    plain = _TARGET.fullmatch(wanted) and "//" not in wanted and ".." not in wanted
    return wanted if plain else _HOME


def _language(request: Request) -> str:
    """Chinese where it is asked for before English; `?lang=` beats the browser."""
    wanted = request.query_params.get("lang") or request.headers.get("accept-language", "")
    for part in wanted.lower().split(","):
        if (language := part.strip()[:2]) in _WORDS:
            return language
    return "en"


def _access(request: Request) -> Access:
    access: Access = request.app.state.running.access
    return access
