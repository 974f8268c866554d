"""The dashboard over HTTP, without a browser: what it gives, what it refuses, and that nobody's words become markup."""

from typing import Any

import httpx
import pytest

from gateway.sighting import Sight
from tests.fakes.pictures import card, data_url
from tests.flows.conftest import Build, Stage
from tests.flows.test_openai_sdk import copy_of_48_20

BASE = "/cache/dashboard"
EVIL = "<img src=x onerror=alert(1)>"


def get(stage: Stage, path: str, **options: Any) -> httpx.Response:
    return httpx.get(f"{stage.gateway}{BASE}{path}", **options)


def ask(stage: Stage, url: str, model: str = "m", prompt: str = "Price?", **options: Any) -> httpx.Response:
    content = [{"type": "image_url", "image_url": {"url": url}}, {"type": "text", "text": prompt}]
    body = {"model": model, "messages": [{"role": "user", "content": content}]}
    return httpx.post(f"{stage.gateway}/v1/chat/completions", json=body, **options)


def test_the_pages_and_their_files_are_there_and_may_not_be_sniffed_framed_or_kept(stage: Stage):
    for path in ("", "/hits", "/now", "/assets/dashboard.css", "/assets/chart.umd.min.js", "/assets/chart.LICENSE.md"):
        reply = get(stage, path)

        assert reply.status_code == 200
        assert reply.headers["x-content-type-options"] == "nosniff"
        assert "frame-ancestors 'none'" in reply.headers["content-security-policy"]
        assert reply.headers["cache-control"] == ("no-cache" if "assets" in path else "no-store")


def test_a_file_is_sent_once(stage: Stage):
    first = get(stage, "/assets/dashboard.js")
    again = get(stage, "/assets/dashboard.js", headers={"if-none-match": first.headers["etag"]})

    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize(
    "path",
    [
        "/assets/page.py",
        "/assets/..%2fpage.py",
        "/pictures/nosuch/0/heat.jpg",
        "/pictures/nosuch/0/other.jpg",
        "/pictures/nosuch/x/heat.jpg",
        "/served/nosuch.jpg",
        "/elsewhere",
    ],
)
def test_what_is_not_there_is_404(stage: Stage, path: str):
    assert get(stage, path).status_code == 404


@pytest.mark.parametrize(
    "path", ["?window=1y", "/now?window=", "/hits?from=-1", "/hits?from=x&sight=what", "/hits?from=99999"]
)
def test_a_query_that_makes_no_sense_gives_the_page_as_it_is_without(stage: Stage, path: str):
    assert get(stage, path).status_code == 200


def test_a_language_and_a_look_are_remembered_and_nothing_else_is(stage: Stage):
    reply = get(stage, "/hits?sight=near-miss&lang=zh&theme=dark")
    cookies = reply.headers.get_list("set-cookie")

    assert (reply.status_code, reply.headers["location"]) == (303, f"{BASE}/hits?sight=near-miss")
    assert len(cookies) == 2
    assert all("HttpOnly" in cookie and "samesite=strict" in cookie.lower() for cookie in cookies)
    assert get(stage, "?lang=xx&theme=%0d%0aset-cookie:a=b").headers.get_list("set-cookie") == []


@pytest.mark.parametrize("build_with", [{"dashboard_prompts": True}])
def test_nobodys_words_become_markup(build: Build, build_with: dict[str, Any]):
    stage = build(**build_with)
    says = {"x-fake": f"text={EVIL}"}
    for url in (data_url(card("48.20")), copy_of_48_20(), data_url(card("48.26"))):
        ask(stage, url, model=EVIL, prompt=EVIL, headers=says).raise_for_status()
    pages = [get(stage, path).text for path in ("", "/hits", "/hits?sight=near-miss")]
    fragments = get(stage, "/now").json()["fragments"]

    assert stage.app.state.running.sightings.of(Sight.NEAR_HIT)
    assert not [text for text in (*pages, *fragments.values()) if EVIL in text]
    assert all("&lt;img src=x" in text for text in (*pages, fragments["recent"]))


def test_the_figures_and_fragments_are_those_of_the_traffic(stage: Stage):
    for _ in range(2):
        ask(stage, data_url(card("48.20"))).raise_for_status()
    now = get(stage, "/now?window=1h", headers={"accept-language": "zh"}).json()

    assert "50.0%" in now["fragments"]["cards"]
    assert "2 次提问中 1 次由缓存回答" in now["fragments"]["cards"]
    assert [sum(bar) for _, bar in now["charts"]["requests"]["bars"]] == [1, 0, 0, 1]


def test_of_a_request_with_no_store_nothing_is_kept_to_be_looked_at(stage: Stage):
    ask(stage, data_url(card("48.20"))).raise_for_status()
    for url in (copy_of_48_20(), data_url(card("48.26"))):
        ask(stage, url, headers={"cache-control": "no-store"}).raise_for_status()
    assert stage.counted == 3
    sightings = stage.app.state.running.sightings

    assert [one for sight in Sight for one in sightings.of(sight)] == []
    assert [one.outcome for one in sightings.recent()] == ["miss", "near", "miss"]


def test_a_request_is_served_though_the_dashboard_cannot_keep_it(stage: Stage):
    stage.app.state.running.sightings.album.close()
    replies = [ask(stage, url) for url in (data_url(card("48.20")), copy_of_48_20())]

    assert [reply.status_code for reply in replies] == [200, 200]
    assert "hit" in replies[1].headers["cache-status"]
