"""With an admin token: nothing is shown before the log-in, and a judgement needs the session's own token."""

from collections.abc import Callable

import httpx
import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Visits, ask, wait_until_drawn
from tests.browser.test_inspector import COPY, HITS
from tests.fakes.pictures import card
from tests.flows.conftest import Stage

pytestmark = pytest.mark.slow

TOKEN = "a-token-of-some-length"


@pytest.fixture(scope="module")
def stage(stages: Callable[..., Stage]) -> Stage:
    stage = stages(admin_token=TOKEN)
    as_admin = {"authorization": f"Bearer {TOKEN}"}
    for _ in range(10_000):
        state = httpx.get(f"{stage.gateway}/cache/health", headers=as_admin).json()["embedder"]["state"]
        if state != "loading":
            break
    ask(stage, card("48.20"))
    ask(stage, COPY)
    wait_until_drawn(stage)
    return stage


@pytest.mark.parametrize("path", ["/cache/dashboard", "/cache/dashboard/now", HITS, "/cache/dashboard/served/x.jpg"])
def test_nothing_is_given_to_whoever_is_not_logged_in(stage: Stage, path: str):
    reply = httpx.get(f"{stage.gateway}{path}")

    assert reply.status_code == 401
    assert "Hit" not in reply.text


def test_a_person_logs_in_judges_a_hit_and_logs_out(stage: Stage, visit: Visits):
    window = visit(stage)
    page = window.open(HITS)
    page.get_by_label("Admin token").fill("wrong")
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_text("This is not the token.")).to_be_visible()
    page.get_by_label("Admin token").fill(TOKEN)
    page.get_by_role("button", name="Log in").click()

    expect(page).to_have_url(f"{stage.gateway}{HITS}")
    page.get_by_role("button", name="Right answer").click()
    expect(page.get_by_text("You said: right.")).to_be_visible()

    page.get_by_role("link", name="Log out").click()
    page.get_by_role("button", name="Log out").click()
    page.goto(f"{stage.gateway}{HITS}")
    expect(page.get_by_label("Admin token")).to_be_visible()
    assert [text for text in window.complaints if "401" not in text] == []
    window.complaints.clear()


def test_a_page_that_is_open_when_the_session_ends_says_so(stage: Stage, visit: Visits):
    window = visit(stage)
    page = window.open("/cache/dashboard")
    page.get_by_label("Admin token").fill(TOKEN)
    page.get_by_role("button", name="Log in").click()
    expect(page.locator("#live")).to_have_text("Live")
    window.context.clear_cookies()

    expect(page.locator("#live")).to_contain_text("You are logged out.")
    window.complaints.clear()  # the browser tells of the 401
