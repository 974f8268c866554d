"""A real gateway on loopback in front of a fake upstream, each served by uvicorn from a thread."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from gateway.app import create_app
from gateway.config import Settings
from gateway.fetch.resolver import Resolve
from gateway.make import open_store
from gateway.patience import Patience
from gateway.server import InThread
from tests.fakes.asgi import lifespan
from tests.fakes.upstream import FakeUpstream


@dataclass
class Stage:
    """What a flow plays on."""

    gateway: str  # base URL
    upstream: FakeUpstream
    upstream_url: str
    app: Starlette

    def stats(self) -> dict[str, Any]:
        # Without `verify=False` a client reads every certificate of the machine first, for plain HTTP.
        return httpx.get(f"{self.gateway}/cache/stats", verify=False).raise_for_status().json()

    @property
    def counted(self) -> int:
        """Requests that are over, the keeping of their answers included."""
        return int(self.stats()["requests"])

    def health(self) -> dict[str, Any]:
        return httpx.get(f"{self.gateway}/cache/health", verify=False).raise_for_status().json()


@dataclass
class Address:
    """Where an upstream listens for as long as all tests run; each test puts its own there."""

    url: str = ""
    upstream: Any = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            return await lifespan(receive, send)
        return await self.upstream(scope, receive, send)


Build = Callable[..., Stage]
# A loaded machine is slow, which is nothing that these tests are about.
_PATIENCE_S = 60.0


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer is waited for until it is stored, however long that takes here; and what a test sets holds."""
    monkeypatch.setattr("gateway.plan._LANDING_WAIT_S", _PATIENCE_S)

    def patient(seconds: float, monotonic: Callable[[], float]) -> Patience:
        return Patience(
            _PATIENCE_S if seconds >= Settings.model_fields["lookup_timeout_s"].default else seconds, monotonic
        )

    monkeypatch.setattr("gateway.plan.Patience", patient)


@contextmanager
def serving(app: Any) -> Iterator[str]:
    async def made() -> Any:
        return app

    with InThread(made) as server:
        yield server.url


@pytest.fixture(scope="session")
def address() -> Iterator[Address]:
    found = Address()
    with serving(found) as found.url:
        yield found


@pytest.fixture
def build(tmp_path: Path) -> Iterator[Build]:
    """Makes a stage with the settings given; `near=False` skips the wait for the embedder."""
    with ExitStack() as stack:

        def make(near: bool = True, suffix: str = "", resolve: Resolve | None = None, **settings: Any) -> Stage:
            fake = FakeUpstream()
            upstream_url = stack.enter_context(serving(fake))
            chosen = Settings(
                **{
                    "upstream": upstream_url + suffix,
                    "cache_dir": tmp_path / "cache",
                    "embedder": "dct",
                    "embed_timeout_s": _PATIENCE_S,
                }
                | settings
            )
            stage = stack.enter_context(gateway_over(chosen, resolve))
            stage.upstream, stage.upstream_url = fake, upstream_url
            if near:
                wait_until_ready(stage)
            return stage

        yield make


@contextmanager
def gateway_over(settings: Settings, resolve: Resolve | None = None, **clocks: Any) -> Iterator[Stage]:
    apps: list[Starlette] = []

    async def made() -> Starlette:
        apps.append(create_app(settings, open_store(settings, **clocks), **clocks, resolve=resolve))
        return apps[0]

    with InThread(made) as server:
        yield Stage(server.url, FakeUpstream(), settings.upstream, apps[0])


def wait_until_ready(stage: Stage) -> None:
    for _ in range(10_000):
        if stage.health()["embedder"]["state"] != "loading":
            return
    raise AssertionError("the embedder never became ready")


def wait_until_counted(stage: Stage, requests: int) -> None:
    for _ in range(100):
        stage.stats()  # waits a while for answers that are being stored
        if stage.counted >= requests:
            return
    raise AssertionError(f"of {requests} requests only {stage.counted} were ever over")


def wait_until_noted(stage: Stage) -> None:
    """The shadow log's lines are written by a thread of its own."""
    for _ in range(10_000):
        shadow = stage.stats()["shadow"]
        if shadow["log"]["written"] + shadow["log"]["lost"] == shadow["requests"]:
            return
    raise AssertionError("a line of the shadow log never came")


@pytest.fixture
def stage(build: Build) -> Stage:
    return build()
