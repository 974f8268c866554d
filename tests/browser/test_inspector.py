"""The hit inspector, as a person uses it: looking at near hits and near misses, and saying what was wrong."""

from collections.abc import Callable

import httpx
import pytest
from playwright.sync_api import Locator, Page, expect

from gateway.demo import cards
from tests.browser.conftest import Visits, ask, wait_until_drawn
from tests.fakes.pictures import card, jpeg, png
from tests.flows.conftest import Stage

pytestmark = pytest.mark.slow

HITS = "/cache/dashboard/hits"
COPY = jpeg(cards.draw("48.20"), 85)


def traffic(stage: Stage) -> Stage:
    """A picture, a copy of it (a near hit), and one with another digit (a near miss)."""
    ask(stage, card("48.20"))
    assert "detail=near" in ask(stage, COPY).headers["cache-status"]
    assert "detail=local-change" in ask(stage, card("48.26")).headers["cache-status"]
    wait_until_drawn(stage)
    return stage


@pytest.fixture(scope="module")
def stage(stages: Callable[..., Stage]) -> Stage:
    return traffic(stages())


def captions(item: Locator) -> list[str]:
    return item.locator("figcaption").all_inner_texts()


def sizes(page: Page, item: Locator) -> list[int]:
    """Widths of the pictures, once they are there."""
    item.scroll_into_view_if_needed()
    page.wait_for_function("() => [...document.querySelectorAll('figure img')].every((one) => one.complete)")
    return item.locator("figure img").evaluate_all("all => all.map((one) => one.naturalWidth)")


def test_a_near_hit_shows_both_pictures_the_heat_the_figures_and_the_answer(stage: Stage, visit: Visits):
    page = visit(stage).open(HITS)
    item = page.locator("article")

    expect(item).to_have_count(1)
    assert captions(item) == ["stored", "asked", "where they differ", "closest look: stored | asked"]
    assert sizes(page, item) == [400, 400, 400, 400]
    expect(item).to_contain_text("taken for one picture")
    expect(item).to_contain_text("of 0.95 allowed")
    expect(item).to_contain_text("at least 0.65 wanted")
    expect(item.locator("blockquote")).to_have_text(["prices: 48.20"])
    expect(item.get_by_role("button", name="Right answer")).to_be_visible()


def test_a_near_miss_shows_why_and_where_and_what_each_answer_was(stage: Stage, visit: Visits):
    page = visit(stage).open(HITS)
    page.get_by_role("link", name="Near misses 1").click()
    item = page.locator("article")

    expect(item).to_contain_text("One place differs by more than re-encoding explains.")
    assert captions(item) == ["stored", "asked", "where they differ", "closest look: stored | asked"]
    expect(item.locator("blockquote")).to_have_text(["prices: 48.20", "prices: 48.26"])
    expect(item.get_by_role("button")).to_have_count(0)
    heat = item.locator("figure.heat img")
    assert (
        heat.evaluate(
            """picture => { const canvas = document.createElement("canvas"), at = canvas.getContext("2d");
        canvas.width = picture.naturalWidth; canvas.height = picture.naturalHeight; at.drawImage(picture, 0, 0);
        const data = at.getImageData(0, 0, canvas.width, canvas.height).data; let red = 0;
        for (let i = 0; i < data.length; i += 4) red += data[i] > 180 && data[i + 1] < 60 && data[i + 2] < 90;
        return red; }"""
        )
        > 20
    )


def test_the_prompt_is_not_shown_unless_the_operator_said_so(stages: Callable[..., Stage], stage: Stage, visit: Visits):
    assert "Question" not in visit(stage).open(HITS).locator("article").inner_text()

    told = traffic(stages(dashboard_prompts=True))
    expect(visit(told).open(HITS).locator("article blockquote").first).to_have_text("What is the price?")


@pytest.mark.parametrize("settings", [{"privacy": "strict"}, {"dashboard_pictures": False}])
def test_no_picture_is_kept_or_shown_where_the_settings_say_so(
    stages: Callable[..., Stage], visit: Visits, settings: dict[str, str]
):
    stage = traffic(stages(**settings))
    page = visit(stage).open(HITS)

    expect(page.locator("article")).to_have_count(1)
    expect(page.locator("main img")).to_have_count(0)
    expect(page.locator(".notice")).to_contain_text("Pictures are not kept")
    expect(visit(stage).open("/cache/dashboard").locator("main img")).to_have_count(0)


def test_one_click_removes_a_wrong_answer_for_good(stages: Callable[..., Stage], visit: Visits):
    stage = traffic(stages())
    page = visit(stage).open(HITS)
    page.get_by_role("button", name="Wrong answer").click()
    expect(page.get_by_text("You said: wrong.")).to_be_visible()
    expect(page.get_by_role("button", name="Wrong answer")).to_have_count(0)

    assert "hit" not in ask(stage, COPY).headers["cache-status"]
    assert "detail=judged-wrong" in ask(stage, card("48.20")).headers["cache-status"]

    page.reload()
    expect(page.locator("article")).to_contain_text("You said: wrong.")
    expect(page.locator("article")).to_contain_text("The answer is not stored any more.")
    overview = visit(stage).open("/cache/dashboard")
    expect(overview.locator(".card.bad .value")).to_have_text("1")
    expect(overview.get_by_text("of 1 near hits that people looked at")).to_be_visible()


def test_one_click_confirms_a_right_answer(stages: Callable[..., Stage], visit: Visits):
    stage = traffic(stages())
    page = visit(stage).open(HITS)
    page.get_by_role("button", name="Right answer").click()
    expect(page.get_by_text("You said: right.")).to_be_visible()

    assert httpx.get(f"{stage.gateway}/cache/feedback").json()["right"] == {"near": 1}


def test_what_cannot_be_judged_any_more_says_so_and_the_buttons_stay(stages: Callable[..., Stage], visit: Visits):
    stage = traffic(stages())
    window = visit(stage)
    page = window.open(HITS)
    page.locator(".judge").evaluate(
        "place => { place.dataset.request = '0'.repeat(64); place.dataset.entry = 'gone'; }"
    )
    page.get_by_role("button", name="Right answer").click()

    expect(page.get_by_role("status")).to_contain_text("That did not work: there is no entry gone")
    expect(page.get_by_role("button", name="Right answer")).to_be_enabled()
    assert [text for text in window.complaints if "404" not in text] == []
    window.complaints.clear()


def test_a_forgotten_picture_is_gone_from_the_pages_at_once(stages: Callable[..., Stage], visit: Visits):
    stage = traffic(stages())
    page = visit(stage).open(HITS)
    address = page.locator("figure.stored img").get_attribute("src")
    assert httpx.get(f"{stage.gateway}{address}").status_code == 200
    forgotten = httpx.post(
        f"{stage.gateway}/cache/forget?confirm=true", content=card("48.20"), headers={"content-type": "image/png"}
    )
    assert forgotten.json()["entries"] == 1
    page.reload()

    expect(page.locator("article")).to_have_count(0)
    expect(page.get_by_text("No near hit yet.")).to_be_visible()
    assert httpx.get(f"{stage.gateway}{address}").status_code == 404
    assert visit(stage).open(f"{HITS}?sight=near-miss").locator("article").count() == 0


def test_several_pictures_in_one_request_are_shown_each(stages: Callable[..., Stage], visit: Visits):
    stage = stages()
    second = cards.draw("17.00", body=(40, 90, 160), seed=3)
    ask(stage, card("48.20"), png(second))
    assert "detail=near" in ask(stage, COPY, jpeg(second, 85)).headers["cache-status"]
    wait_until_drawn(stage)
    item = visit(stage).open(HITS).locator("article")

    expect(item.get_by_role("heading", name="Picture 2")).to_be_visible()
    assert len(captions(item)) == 8
