"""Who may use /cache/: every way in, and every attack refused, through a real gateway."""

import json
import logging
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from gateway.admin import attempts
from gateway.cli import cli
from gateway.config import Settings, load_settings
from gateway.errors import ConfigError
from tests.flows.conftest import Build, Stage, gateway_over
from tests.flows.test_entries import OTHER, send

TOKEN = "a-token-of-quite-some-length"
BEARER = {"authorization": f"Bearer {TOKEN}"}
JSON = {"content-type": "application/json"}
PURGE = json.dumps({"all": True, "confirm": True})


@pytest.fixture
def locked(build: Build) -> Stage:
    """A gateway that needs a token, with one entry."""
    stage = build(near=False, admin_token=TOKEN)
    send(stage, OTHER)
    return stage


@contextmanager
def browser(stage: Stage, **more: Any) -> Iterator[httpx.Client]:
    headers = {"accept": "text/html"}
    with httpx.Client(base_url=f"{stage.gateway}/cache", headers=headers, **more) as client:
        yield client


def log_in(client: httpx.Client, token: str = TOKEN, **fields: str) -> httpx.Response:
    return client.post("/login", data={"token": token}, headers=fields)


def refused(reply: httpx.Response) -> tuple[int, str]:
    return reply.status_code, reply.json()["error"]["code"]


def entries(stage: Stage) -> int:
    reply = httpx.get(f"{stage.gateway}/cache/entries", headers=BEARER).raise_for_status()
    return int(reply.json()["matched"])


def purge(stage: Stage, headers: dict[str, str], content: str = PURGE) -> httpx.Response:
    return httpx.post(f"{stage.gateway}/cache/purge", content=content, headers=headers)


# The token


ENDPOINTS = [
    ("GET", "/stats"),
    ("GET", "/entries"),
    ("GET", "/entries/x"),
    ("DELETE", "/entries/x"),
    ("POST", "/entries/x/feedback"),
    ("GET", "/feedback"),
    ("POST", "/purge"),
    ("POST", "/forget"),
    ("GET", "/session"),
    ("GET", "/openapi.json"),
    ("GET", "/nothing-at-all"),
    ("GET", "/"),
]


def test_nothing_is_told_or_done_without_the_token(locked: Stage):
    for method, path in ENDPOINTS:
        for wrong in ("", f"Basic {TOKEN}", TOKEN, f"Bearer{TOKEN}"):
            headers = {"authorization": wrong} if wrong else {}
            reply = httpx.request(method, f"{locked.gateway}/cache{path}", headers=headers)
            assert refused(reply) == (401, "unauthorized")
            assert reply.headers["www-authenticate"].startswith("Bearer")
    for wrong in ("Bearer wrong", "Bearer", f"Bearer {TOKEN[:-1]}", f"Bearer {TOKEN}x", f"Bearer {TOKEN.upper()}"):
        assert refused(purge(locked, JSON | {"authorization": wrong})) == (401, "unauthorized")

    assert entries(locked) == 1


def test_with_the_token_a_program_gets_in_and_needs_nothing_else(locked: Stage):
    assert httpx.get(f"{locked.gateway}/cache/session", headers=BEARER).json()["who"] == "token"
    assert purge(locked, BEARER | JSON).json()["entries"] == 1


def test_liveness_is_open_and_tells_nothing_else(locked: Stage):
    for headers in ({}, {"authorization": "Bearer wrong"}, {"host": "evil.example"}):
        for path in ("/health", "/health/live"):
            reply = httpx.get(f"{locked.gateway}/cache{path}", headers=headers)
            assert (reply.status_code, reply.json()) == (200, {"status": "ok"})
        assert httpx.post(f"{locked.gateway}/cache/health", headers=headers).status_code in (401, 421)

    assert "store" in httpx.get(f"{locked.gateway}/cache/health", headers=BEARER).json()


def test_guessing_is_stopped_for_that_address_also_with_the_right_token_and_sessions_go_on(
    locked: Stage,
):
    with browser(locked) as inside, browser(locked) as outside:
        log_in(inside)
        for _ in range(attempts.ATTEMPTS_MOST // 2):
            assert log_in(outside, "guess").status_code == 401
            assert (
                refused(httpx.get(f"{locked.gateway}/cache/stats", headers={"authorization": "Bearer guess"}))[0] == 401
            )
        stopped = log_in(outside)
        assert stopped.status_code == 429
        assert 0 < int(stopped.headers["retry-after"]) <= attempts.WITHIN_S + 1
        assert "Too many" in stopped.text
        assert refused(purge(locked, BEARER | JSON)) == (429, "too_many_attempts")
        assert inside.get("/session").status_code == 200


# The session of a browser


def test_a_browser_is_led_to_the_log_in_and_back(locked: Stage):
    with browser(locked) as client:
        led = client.get("/entries")
        assert (led.status_code, led.headers["location"]) == (303, "/cache/login?next=/cache/entries")
        page = client.get("/login?next=/cache/entries")
        assert 'value="/cache/entries"' in page.text
        inside = client.post("/login", data={"token": TOKEN, "next": "/cache/entries"})
        assert (inside.status_code, inside.headers["location"]) == (303, "/cache/entries")
        assert client.get("/entries").json()["matched"] == 1
        told = client.get("/session").json()
        assert re.fullmatch(r"session:[0-9a-f]{8}", told["who"])


def test_the_cookie_is_no_scripts_and_no_other_sites(locked: Stage):
    with browser(locked) as client:
        cookie = log_in(client).headers["set-cookie"]

    assert {"HttpOnly", "SameSite=strict", "Path=/cache", "Max-Age=43200"} <= set(cookie.split("; "))
    assert TOKEN not in cookie


def test_behind_a_proxy_with_tls_the_cookie_is_secure(locked: Stage):
    with browser(locked) as client:
        assert "; Secure" in log_in(client, **{"x-forwarded-proto": "https"}).headers["set-cookie"]


def test_a_change_by_cookie_needs_the_sessions_token(locked: Stage):
    with browser(locked) as client, browser(locked) as other:
        log_in(client), log_in(other)
        theirs = other.get("/session").json()["csrf"]
        for csrf in ({}, {"x-lookalike-csrf": "guess"}, {"x-lookalike-csrf": theirs}, {"x-lookalike-csrf": ""}):
            assert refused(client.post("/purge", content=PURGE, headers=JSON | csrf)) == (403, "csrf")
            assert refused(client.delete("/entries/x", headers=csrf)) == (403, "csrf")
        assert entries(locked) == 1
        own = {"x-lookalike-csrf": client.get("/session").json()["csrf"]}
        assert client.post("/purge", content=PURGE, headers=JSON | own).json()["entries"] == 1


def test_a_cookie_that_was_made_up_changed_or_made_for_another_gateway_is_worth_nothing(locked: Stage, tmp_path: Path):
    with browser(locked) as client:
        log_in(client)
        good = client.cookies["lookalike-session"]
    expires, number, signature = good.split(".")
    forged = [
        "",
        "x",
        "..",
        f"{int(expires) + 9}.{number}.{signature}",
        f"{expires}.{'0' * 32}.{signature}",
        f"{expires}.{number}.{'0' * 64}",
        f"{expires}.{number}.",
        f"{expires}.{number}",
    ]
    with (
        gateway_over(
            Settings(upstream="http://h", cache_dir=tmp_path / "b", embedder="dct", admin_token=TOKEN)
        ) as stage,
        browser(stage) as client,
    ):
        log_in(client)
        forged.append(client.cookies["lookalike-session"])  # the same token, another store's secret
    address = f"{locked.gateway}/cache/session"

    assert httpx.get(address, cookies={"lookalike-session": good}).status_code == 200
    for cookie in forged:
        assert httpx.get(address, headers={"cookie": f"lookalike-session={cookie}"}).status_code == 401


def test_after_the_log_out_the_cookie_is_worth_nothing(locked: Stage):
    with browser(locked) as client:
        log_in(client)
        cookie = {"lookalike-session": client.cookies["lookalike-session"]}
        page = client.get("/login").text
        csrf = re.search(r'name="csrf" value="([0-9a-f]+)"', page)
        assert csrf is not None
        assert refused(client.post("/logout", data={"csrf": "guess"})) == (403, "csrf")
        assert client.get("/session").status_code == 200
        assert client.post("/logout", data={"csrf": csrf[1]}).headers["location"] == "/cache/login"
        assert "lookalike-session" not in client.cookies

    assert httpx.get(f"{locked.gateway}/cache/session", cookies=cookie).status_code == 401


def test_a_session_ends_in_time_and_with_the_token(tmp_path: Path):
    now = [1_700_000_000.0]
    settings = {"upstream": "http://h", "cache_dir": tmp_path, "embedder": "dct"}
    with gateway_over(Settings(**settings, admin_token=TOKEN), clock=lambda: now[0]) as stage:
        with browser(stage) as client:
            log_in(client)
            client.cookies.jar.clear_expired_cookies = lambda: None  # type: ignore[method-assign]
            cookie = {"cookie": f"lookalike-session={client.cookies['lookalike-session']}"}
        address = "/cache/session"
        assert httpx.get(stage.gateway + address, headers=cookie).status_code == 200
        now[0] += 12 * 3600 + 1
        assert httpx.get(stage.gateway + address, headers=cookie).status_code == 401
        now[0] -= 3600
    with gateway_over(Settings(**settings, admin_token=TOKEN), clock=lambda: now[0]) as stage:
        assert httpx.get(stage.gateway + address, headers=cookie).status_code == 200
    with gateway_over(Settings(**settings, admin_token=TOKEN + "2"), clock=lambda: now[0]) as stage:
        assert httpx.get(stage.gateway + address, headers=cookie).status_code == 401


def test_the_log_in_leads_nowhere_else(locked: Stage):
    elsewhere = ["https://evil.example", "//evil.example", "/\\evil.example", "/cache//evil", "/cache/\r\nX: y", "/v1"]
    with browser(locked) as client:
        for wanted in (*elsewhere, "javascript:1", "/cache/../v1"):
            led = client.post("/login", data={"token": TOKEN, "next": wanted})
            assert led.headers["location"] == "/cache/dashboard"


def test_the_log_in_page_speaks_chinese_and_is_framed_and_scripted_by_nobody(locked: Stage):
    with browser(locked) as client:
        english, chinese = (
            client.get("/login"),
            client.get("/login", headers={"accept-language": "zh-CN,zh;q=0.9,en;q=0.8"}),
        )
        assert "登录" in client.get("/login?lang=zh").text
        wrong = client.post("/login", data={"token": '"><script>alert(1)</script>', "next": '/cache/"><script>'})

    assert '<html lang="en">' in english.text
    assert '<html lang="zh">' in chinese.text
    assert "管理令牌" in chinese.text
    rules = dict(rule.split(" ", 1) for rule in english.headers["content-security-policy"].split("; "))
    assert (rules["default-src"], rules["frame-ancestors"], rules["form-action"]) == ("'none'", "'none'", "'self'")
    assert f'nonce="{rules["style-src"][7:-1]}"' in english.text
    assert "script-src" not in rules
    assert "<script" not in wrong.text


# Other sites


OTHER_SITES = [
    {"origin": "https://evil.example"},
    {"origin": "null"},
    {"origin": "http://127.0.0.1:1"},  # another program's page on this machine
    {"sec-fetch-site": "cross-site"},
    {"sec-fetch-site": "same-site"},
    {"origin": "https://evil.example", "sec-fetch-site": "same-origin"},
]


def test_no_page_of_another_site_can_change_anything_on_an_open_loopback(build: Build):
    stage = build(near=False)
    send(stage, OTHER)
    for site in OTHER_SITES:
        assert refused(purge(stage, JSON | site)) == (403, "cross_site")
        assert refused(httpx.delete(f"{stage.gateway}/cache/entries/x", headers=site)) == (403, "cross_site")

    assert stage.stats()["store"]["entries"] == 1
    own = {"origin": stage.gateway, "sec-fetch-site": "same-origin"}
    assert purge(stage, JSON | own).json()["entries"] == 1


def test_nor_with_a_stolen_ride_on_a_session(locked: Stage):
    with browser(locked) as client:
        log_in(client)
        own = {"x-lookalike-csrf": client.get("/session").json()["csrf"]}
        for site in OTHER_SITES:
            assert refused(client.post("/purge", content=PURGE, headers=JSON | own | site)) == (403, "cross_site")
            csrf = {"csrf": own["x-lookalike-csrf"]}
            assert refused(client.post("/logout", data=csrf, headers=site)) == (403, "cross_site")
            assert refused(log_in(client, **site)) == (403, "cross_site")

    assert entries(locked) == 1


def test_what_a_form_can_send_is_not_taken(build: Build):
    stage = build(near=False)
    send(stage, OTHER)
    forms = ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "")
    for path in ("/purge", "/forget", "/entries/x/feedback"):
        for kind in (*forms, "" if path == "/forget" else "image/png"):
            headers = {"content-type": kind} if kind else {}
            reply = httpx.post(f"{stage.gateway}/cache{path}", content=PURGE, headers=headers)
            assert refused(reply) == (415, "media_type")

    assert stage.stats()["store"]["entries"] == 1


def test_no_site_may_read_an_answer_or_be_told_that_it_may_ask(locked: Stage):
    asked = {"origin": "https://evil.example", "access-control-request-method": "POST"}
    reply = httpx.get(f"{locked.gateway}/cache/entries", headers=BEARER | {"origin": "https://evil.example"})
    preflight = httpx.options(f"{locked.gateway}/cache/purge", headers=asked)

    for each in (reply, preflight):
        assert not [name for name in each.headers if name.startswith("access-control-")]
        assert each.headers["cross-origin-resource-policy"] == "same-origin"
        assert each.headers["cache-control"] == "no-store"
        assert each.headers["x-content-type-options"] == "nosniff"
    assert preflight.status_code == 401


# Names


@pytest.mark.parametrize("token", [None, TOKEN])
def test_on_loopback_no_other_name_leads_here(build: Build, token: str | None):
    stage = build(near=False, admin_token=token)
    others = "evil.example evil.example:8080 127.0.0.1.evil.example 10.0.0.1 [::2] localhost.evil evil:127.0.0.1"
    for host in ("", *others.split()):
        for path in ("/stats", "/login", "/nothing"):
            reply = httpx.get(f"{stage.gateway}/cache{path}", headers=BEARER | {"host": host})
            assert refused(reply) == (421, "wrong_host")
    for host in ("localhost", "localhost:8080", "127.0.0.1:1", "127.9.9.9", "[::1]:8080", "LOCALHOST"):
        assert httpx.get(f"{stage.gateway}/cache/stats", headers=BEARER | {"host": host}).status_code == 200


def test_behind_a_proxy_its_origin_is_ours(build: Build):
    stage = build(near=False, admin_token=TOKEN, admin_origins=["https://Cache.example.org"])
    send(stage, OTHER)
    proxied = {"x-forwarded-proto": "https", "x-forwarded-for": "203.0.113.9"}
    with browser(stage, trust_env=False) as client:
        fields = {"host": "cache.example.org", "origin": "https://cache.example.org", **proxied}
        assert log_in(client, **fields).status_code == 303
        cookie = f"lookalike-session={client.cookies['lookalike-session']}"
        told = httpx.get(f"{stage.gateway}/cache/session", headers={**fields, "cookie": cookie}).json()
        own = {"cookie": cookie, "x-lookalike-csrf": told["csrf"], "origin": "https://cache.example.org"}
        # ... also where the proxy sends its own name for the gateway as Host.
        assert purge(stage, JSON | own | proxied).json()["entries"] == 1


def test_through_a_proxy_an_open_loopback_is_not_open(build: Build):
    stage = build(near=False)
    for field in ("forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-real-ip"):
        assert refused(httpx.get(f"{stage.gateway}/cache/stats", headers={field: "x"})) == (403, "through_proxy")


# Start


@pytest.mark.slow
def test_beyond_loopback_without_a_token_the_gateway_does_not_start(tmp_path: Path):
    command = [sys.executable, "-m", "gateway", "serve", "--upstream", "http://127.0.0.1:9", "--host", "0.0.0.0"]
    command += ["--port", "0", "--embedder", "dct", "--cache-dir", str(tmp_path / "never")]
    said = subprocess.run(command, capture_output=True, text=True, timeout=60)

    assert said.returncode == 1
    assert "admin token" in said.stderr
    assert "admin_access" in said.stderr
    assert not (tmp_path / "never").exists()


def test_check_says_so_as_well(tmp_path: Path):
    words = ["check", "--upstream", "http://127.0.0.1:9", "--cache-dir", str(tmp_path / "x")]
    said = CliRunner().invoke(cli, words, env={"LOOKALIKE_HOST": "0.0.0.0", "LOOKALIKE_EMBEDDER": "dct"})

    assert said.exit_code == 1
    assert "WRONG" in said.output
    assert "admin token" in said.output


def beyond_loopback(tmp_path: Path, **settings: Any) -> Any:
    """A gateway that believes to listen on all addresses; the test reaches it on loopback."""
    return gateway_over(Settings(upstream="http://h", host="0.0.0.0", cache_dir=tmp_path, embedder="dct", **settings))


def test_off_means_liveness_alone(tmp_path: Path):
    with beyond_loopback(tmp_path, admin_access="off") as stage:
        assert httpx.get(f"{stage.gateway}/cache/health").json() == {"status": "ok"}
        for path in ("/stats", "/login", "/entries", "/"):
            assert refused(httpx.get(f"{stage.gateway}/cache{path}", headers=BEARER)) == (404, "off")


def test_open_means_open_to_all_but_other_sites_and_borrowed_names(tmp_path: Path):
    with beyond_loopback(tmp_path, admin_access="open") as stage:
        address = f"{stage.gateway}/cache/stats"
        assert httpx.get(address).status_code == 200
        assert httpx.get(address, headers={"host": "lookalike:8080"}).status_code == 200
        assert refused(httpx.get(address, headers={"host": "rebound.example"})) == (421, "wrong_host")
        assert refused(purge(stage, JSON | {"origin": "https://evil.example"})) == (403, "cross_site")
        assert purge(stage, JSON).status_code == 200


def test_with_a_token_any_name_leads_here(tmp_path: Path):
    with beyond_loopback(tmp_path, admin_token=TOKEN) as stage:
        headers = BEARER | {"host": "lookalike.example"}
        assert httpx.get(f"{stage.gateway}/cache/stats", headers=headers).status_code == 200


# Secrets


def test_no_secret_is_in_a_log_line_or_a_file(locked: Stage, tmp_path: Path, caplog: pytest.LogCaptureFixture):
    with caplog.at_level(logging.DEBUG), browser(locked) as client:
        log_in(client, TOKEN + "-mistyped")
        log_in(client)
        told = client.get("/session").json()
        secret = [TOKEN, client.cookies["lookalike-session"], told["csrf"]]
        client.post("/purge", content=PURGE, headers=JSON | {"x-lookalike-csrf": told["csrf"]})
    ours = [record.getMessage() + str(vars(record)) for record in caplog.records if record.name.startswith("lookalike")]
    written = b"".join(file.read_bytes() for file in tmp_path.rglob("*") if file.is_file())

    assert any("a wrong admin token was given by 127.0.0.1" in line for line in ours)
    assert [word for word in secret if word in "\n".join(ours) or word.encode() in written] == []
    (line,) = [json.loads(one) for one in (tmp_path / "cache" / "audit.jsonl").read_text().splitlines()]
    assert line["who"] == told["who"]
    assert (tmp_path / "cache" / "audit.jsonl").stat().st_mode & 0o777 == 0o600


def test_the_settings_do_not_tell_the_token_and_a_bad_one_is_not_repeated(tmp_path: Path):
    settings = Settings(upstream="http://h", admin_token=TOKEN)
    assert TOKEN not in repr(settings) + settings.model_dump_json()
    file = tmp_path / "lookalike.toml"
    file.write_text('upstream = "http://h"\nadmin_token = ["short-secret"]\n')
    with pytest.raises(ConfigError) as wrong:
        load_settings(file)

    assert "short-secret" not in str(wrong.value)


def test_the_token_may_be_in_a_file_and_the_command_line_takes_it_from_the_environment(build: Build, tmp_path: Path):
    file = tmp_path / "token"
    file.write_text(f"{TOKEN}\n")
    stage = build(near=False, admin_token_file=file)
    words = ["entries", "list", "--json", "--url", stage.gateway]
    without = CliRunner().invoke(cli, words)
    wrong = CliRunner().invoke(cli, words, env={"LOOKALIKE_ADMIN_TOKEN": "wrong"})
    right = CliRunner().invoke(cli, words, env={"LOOKALIKE_ADMIN_TOKEN": TOKEN})
    stats = CliRunner().invoke(cli, ["stats", "--url", stage.gateway], env={"LOOKALIKE_ADMIN_TOKEN": TOKEN})

    assert (without.exit_code, wrong.exit_code, right.exit_code, stats.exit_code) == (1, 1, 0, 0)
    assert "needs its admin token" in without.output
    assert "not its admin token" in wrong.output
    assert json.loads(right.output)["matched"] == 0
