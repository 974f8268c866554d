"""A real Chromium that looks at a real gateway. A page that complains, or asks anyone else for anything, fails its
test.

`scripts/browser` installs a Chromium. Playwright's own event loop must be gone before another test begins one: the
browser lives no longer than a module.
"""

import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Playwright, expect, sync_playwright

from gateway.config import Settings
from tests.fakes.pictures import data_url
from tests.fakes.upstream import FakeUpstream
from tests.flows.conftest import Stage, gateway_over, serving, wait_until_ready

expect.set_options(timeout=30_000)  # a machine that is busy is no failure

_MISSING = "there is no Chromium: scripts/browser installs one"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        where = chromium(playwright)
        if where is None:
            (pytest.fail if os.environ.get("CI") else pytest.skip)(_MISSING)
        browser = playwright.chromium.launch(executable_path=where, args=["--no-sandbox"])
        yield browser
        browser.close()


def chromium(playwright: Playwright) -> str | None:
    found = (shutil.which(name) for name in ("chromium", "chromium-browser", "google-chrome"))
    own = playwright.chromium.executable_path
    return next((path for path in found if path), own if Path(own).exists() else None)


@dataclass
class Visit:
    """One browser window, and what went wrong in it."""

    context: BrowserContext
    stage: Stage
    complaints: list[str] = field(default_factory=list)

    def open(self, path: str) -> Page:
        page = self.context.new_page()
        page.on("console", lambda said: self._heard(said.type, said.text))
        page.on("pageerror", lambda error: self._heard("error", str(error)))
        page.on("request", lambda request: self._asked(request.url))
        page.goto(f"{self.stage.gateway}{path}")
        return page

    def _heard(self, kind: str, text: str) -> None:
        if kind in ("error", "warning"):
            self.complaints.append(text)

    def _asked(self, url: str) -> None:
        if not url.startswith(self.stage.gateway):
            self.complaints.append(f"asked for {url}")


Visits = Callable[..., Visit]


@pytest.fixture
def visit(browser: Browser) -> Iterator[Visits]:
    """Opens a window on a stage, in English unless told otherwise."""
    made: list[Visit] = []

    def begin(stage: Stage, **options: Any) -> Visit:
        size = {"width": 1280, "height": 900}
        made.append(Visit(browser.new_context(**{"locale": "en-GB", "viewport": size} | options), stage))
        return made[-1]

    yield begin
    for one in made:
        one.context.close()
    assert [complaint for one in made for complaint in one.complaints] == []


@pytest.fixture(scope="module")
def stages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Stage]]:
    """Makes gateways that last as long as the module."""
    with ExitStack() as stack:

        def make(**settings: Any) -> Stage:
            fake = FakeUpstream()
            url = stack.enter_context(serving(fake))
            given = {"upstream": url, "cache_dir": tmp_path_factory.mktemp("cache"), "embedder": "dct"}
            given["embed_timeout_s"] = 60  # a machine that is busy must not turn near hits into misses
            stage = stack.enter_context(gateway_over(Settings(**given | settings)))
            stage.upstream, stage.upstream_url = fake, url
            if "admin_token" not in settings:
                wait_until_ready(stage)
            return stage

        yield make


def ask(stage: Stage, *pictures: bytes, **options: Any) -> httpx.Response:
    """One question about pictures, through the gateway."""
    reply = httpx.post(f"{stage.gateway}/v1/chat/completions", json=_question(pictures), timeout=60, **options)
    return reply.raise_for_status()


def _question(pictures: Sequence[bytes]) -> dict[str, Any]:
    parts = [{"type": "image_url", "image_url": {"url": data_url(file)}} for file in pictures]
    content = [*parts, {"type": "text", "text": "What is the price?"}]
    return {"model": "qwen3-vl-8b", "messages": [{"role": "user", "content": content}]}


def wait_until_drawn(stage: Stage) -> None:
    """Thumbnails are drawn after the requests, with rests in between."""
    running = stage.app.state.running
    for _ in range(20_000):
        uncounted = running.account.is_settling
        httpx.get(f"{stage.gateway}/cache/health", timeout=60)  # after it, what was counted before is seen as well
        if not uncounted and running.sightings.resting:
            return
    raise AssertionError("the pictures were never drawn")
