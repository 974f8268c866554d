"""The overview, as a person sees it: real traffic through a gateway, and what the page says of it."""

import re
from collections.abc import Callable

import httpx
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from gateway.demo import cards
from tests.browser.conftest import Visits, ask
from tests.fakes.pictures import card, jpeg, png
from tests.flows.conftest import Stage

pytestmark = pytest.mark.slow

DASHBOARD = "/cache/dashboard"


@pytest.fixture(scope="module")
def stage(stages: Callable[..., Stage]) -> Stage:
    """Seven requests: four hits of three classes, three misses; and one that the cache is not asked for."""
    price = {"input_per_million": 500, "output_per_million": 2000, "currency": "CNY"}
    stage = stages(prices={"*": price})
    picture = cards.draw("48.20")
    for file in (png(picture), png(picture), png(picture), png(picture, compress_level=1), jpeg(picture, 85)):
        ask(stage, file)
    ask(stage, card("48.26"))
    ask(stage, card("17.00", body=(40, 90, 160), seed=3))
    ask(stage)
    return stage


def value(page: Page, name: str) -> str:
    """The large number of a card."""
    return page.locator(".card", has=page.get_by_role("heading", name=name)).locator(".value").inner_text()


def drawn(page: Page, name: str) -> list[list[float]]:
    """The numbers that a chart draws, once it is there."""
    page.wait_for_function("name => window.Chart && Chart.getChart(`chart-${name}`)", arg=name)
    return page.evaluate("name => Chart.getChart(`chart-${name}`).data.datasets.map((set) => set.data)", name)


def has_ink(page: Page, name: str) -> bool:
    """Whether a chart's canvas shows more than one colour."""
    return page.evaluate(
        """name => { const canvas = document.getElementById(`chart-${name}`);
        const drawing = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
        return new Set(new Uint32Array(drawing.data.buffer)).size > 2; }""",
        name,
    )


def test_the_large_numbers_are_those_of_the_traffic(stage: Stage, visit: Visits):
    page = visit(stage).open(DASHBOARD)

    assert value(page, "Hit rate") == "57.1 %"
    assert value(page, "Calls avoided") == "4"
    assert value(page, "Money saved") == "1.62 CNY"
    expect(page.get_by_text("4 of 7 questions answered from the cache")).to_be_visible()
    expect(page.get_by_text("3,208 tokens not asked for")).to_be_visible()


def test_the_charts_draw_what_the_ledger_counted(stage: Stage, visit: Visits):
    page = visit(stage).open(f"{DASHBOARD}?window=1h")
    *bars, rate = drawn(page, "requests")

    assert [sum(bar) for bar in bars] == [2, 1, 1, 3]
    assert [value for value in rate if value is not None]
    assert sum(map(sum, drawn(page, "saved"))) == pytest.approx(1.62, abs=0.01)
    assert [all(bars) for bars in drawn(page, "latency")] == [True] * 2
    assert sum(drawn(page, "reasons")[0]) == 4
    assert [has_ink(page, name) for name in ("requests", "saved", "latency", "reasons")] == [True] * 4


def test_every_reason_is_explained_in_a_list_for_those_who_see_no_chart(stage: Stage, visit: Visits):
    page = visit(stage).open(DASHBOARD)
    page.get_by_text("Every reason, explained").click()
    rows = page.locator("#all-reasons tbody tr")

    assert rows.locator("code").all_inner_texts() == ["local-change", "first-asked", "no-picture"]
    assert rows.locator("td:nth-child(2)").all_inner_texts() == ["2", "1", "1"]
    expect(page.locator("#all-reasons")).to_contain_text("One place differs by more than re-encoding explains.")


def test_recent_requests_and_the_most_served_picture_are_shown(stage: Stage, visit: Visits):
    page = visit(stage).open(DASHBOARD)
    outcomes = page.locator("table.recent .pill").all_inner_texts()
    picture = page.locator(".shelf img").first

    assert outcomes == ["not asked", "miss", "miss", "near", "pixel", "exact", "exact", "miss"]
    expect(page.locator(".shelf li").first).to_contain_text("served 4×")
    picture.scroll_into_view_if_needed()
    page.wait_for_function("picture => picture.complete", arg=picture.element_handle())
    assert picture.evaluate("picture => picture.naturalWidth") == 240


def test_the_page_follows_the_traffic_without_being_loaded_again(stages: Callable[..., Stage], visit: Visits):
    stage = stages()
    page = visit(stage).open(DASHBOARD)
    expect(page.get_by_text("Nothing was asked yet").first).to_be_visible()
    expect(page.get_by_text(f'base_url="{stage.gateway}/v1"')).to_be_visible()
    page.evaluate("window.theSamePage = true")
    for _ in range(2):
        ask(stage, card("48.20"))

    expect(page.locator(".card.first .value")).to_have_text("50.0 %")
    expect(page.get_by_text(f'base_url="{stage.gateway}/v1"')).to_have_count(0)
    assert page.evaluate("window.theSamePage")


def test_nothing_is_asked_for_while_nobody_looks(stage: Stage, visit: Visits):
    page = visit(stage).open(DASHBOARD)
    drawn(page, "requests")
    page.evaluate(
        """() => { Object.defineProperty(document, "hidden", { value: true, configurable: true });
        document.dispatchEvent(new Event("visibilitychange")); }"""
    )
    expect(page.locator("#live")).to_have_text("Paused")
    page.clock.install()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.clock.run_for(60_000)

    assert asked == []

    page.evaluate("() => { delete document.hidden; document.dispatchEvent(new Event('visibilitychange')); }")
    expect(page.locator("#live")).to_have_text("Live")


def test_a_chinese_browser_gets_chinese_and_the_choice_of_english_stays(stage: Stage, visit: Visits):
    window = visit(stage, locale="zh-CN")
    page = window.open(DASHBOARD)
    expect(page.locator("html")).to_have_attribute("lang", "zh-CN")
    assert value(page, "命中率") == "57.1%"

    page.get_by_role("link", name="EN").click()
    assert value(page, "Hit rate") == "57.1 %"
    assert value(window.open(DASHBOARD), "Hit rate") == "57.1 %"


def test_dark_follows_the_system_and_can_be_chosen(stage: Stage, visit: Visits):
    def ground(page: Page) -> str:
        return page.evaluate("getComputedStyle(document.body).backgroundColor")

    light, dark = (visit(stage, color_scheme=scheme).open(DASHBOARD) for scheme in ("light", "dark"))
    assert ground(light) != ground(dark)

    chosen = ground(dark)
    light.get_by_role("link", name="Dark").click()
    expect(light.locator("body")).to_have_css("background-color", chosen)


@pytest.mark.parametrize("path", [DASHBOARD, f"{DASHBOARD}/hits", f"{DASHBOARD}/hits?sight=near-miss"])
@pytest.mark.parametrize("locale", ["en-GB", "zh-CN"])
def test_it_fits_on_a_phone(stage: Stage, visit: Visits, path: str, locale: str):
    page = visit(stage, locale=locale, viewport={"width": 390, "height": 844}).open(path)

    assert page.evaluate("document.documentElement.scrollWidth") == 390


@pytest.mark.parametrize("path", [DASHBOARD, f"{DASHBOARD}/hits", f"{DASHBOARD}/hits?sight=near-miss"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_that_keeps_anyone_out(stage: Stage, visit: Visits, path: str, scheme: str):
    page = visit(stage, color_scheme=scheme, bypass_csp=True).open(path)  # axe is a script of its own
    found = Axe().run(page).response["violations"]

    assert [(one["id"], [node["html"][:120] for node in one["nodes"]]) for one in found] == []


def test_the_keyboard_goes_past_the_menu_and_through_it(stage: Stage, visit: Visits):
    page = visit(stage).open(DASHBOARD)
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()


def test_only_our_own_files_may_be_loaded_and_nothing_inline(stage: Stage):
    reply = httpx.get(f"{stage.gateway}{DASHBOARD}")
    policy = reply.headers["content-security-policy"]

    assert policy.startswith("default-src 'none'; ")
    assert "unsafe" not in policy
    assert not re.search(r"<script(?![^>]* src=)|<style|\sstyle=|\son[a-z]+=", reply.text)
    assert not re.search(r"(src|href)=\"(https?:)?//", reply.text)


def test_shadow_mode_says_what_would_have_been(stages: Callable[..., Stage], visit: Visits):
    stage = stages(mode="shadow")
    for _ in range(2):
        ask(stage, card("48.20"))
    page = visit(stage).open(DASHBOARD)

    expect(page.get_by_text("Shadow mode: nothing is served from the cache")).to_be_visible()
    expect(page.get_by_text("Of 2 requests, 1 would have been answered from the cache (50.0 %).")).to_be_visible()
