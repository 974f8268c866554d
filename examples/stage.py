"""What the examples share: a gateway with an example's settings, what stands behind it, and a client before it."""

import argparse
import base64
import json
import logging
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx
from PIL import Image
from starlette.types import ASGIApp

from examples.receiver import Act, receiver
from examples.standin import MODEL, Standin
from gateway.app import create_app
from gateway.config import Settings, load_settings
from gateway.errors import ConfigError
from gateway.make import open_store
from gateway.server import InThread

_PATIENCE_S = 60.0


@dataclass(frozen=True, slots=True)
class Reply:
    """What a client got, and what the cache says of it."""

    text: str
    hit: str | None  # exact, pixel or near
    tags: tuple[str, ...]

    @property
    def cache(self) -> str:
        return f"hit ({self.hit})" if self.hit else "asked"


@dataclass(slots=True)
class Stage:
    """`out` is where an example writes; `lines` is what it printed."""

    folder: Path
    out: Path
    gateway: str
    model: str
    api_key: str | None
    standin: Standin | None
    app: ASGIApp
    lines: list[str] = field(default_factory=list)

    @property
    def prompt(self) -> str:
        return (self.folder / "prompt.txt").read_text("utf-8").strip()

    def picture(self, name: str) -> bytes:
        return (self.folder / "pictures" / name).read_bytes()

    def ask(self, picture: bytes) -> Reply:
        """As an OpenAI client asks: the picture, then the question."""
        kind = Image.open(BytesIO(picture)).get_format_mimetype()
        url = f"data:{kind};base64,{base64.b64encode(picture).decode()}"
        content = [{"type": "image_url", "image_url": {"url": url}}, {"type": "text", "text": self.prompt}]
        response, text = _asked(self.gateway, self.model, self.api_key, content)
        status, tags = response.headers["cache-status"], response.headers.get("x-lookalike-tags", "")
        hit = status.partition("detail=")[2] if "; hit;" in status else None
        return Reply(text, hit, tuple(tag for tag in tags.split(", ") if tag))

    def lookalike(self, *words: str) -> None:
        """Run a `lookalike` command against this gateway, as you would from a shell."""
        command = [sys.executable, "-m", "gateway", *words, "--gateway", self.gateway, "--model", self.model]
        command += ["--embedder", "dct"]  # which needs no download
        key = {"OPENAI_API_KEY": self.api_key} if self.api_key else {}
        ran = subprocess.run(command, cwd=self.out, env=os.environ | key, capture_output=True, text=True)
        if ran.returncode:
            failures = [line for file in self.out.glob("*.failures.jsonl") for line in file.read_text().splitlines()]
            why = json.loads(failures[0])["error"] if failures else (ran.stderr or ran.stdout).strip()
            raise SystemExit(f"lookalike {words[0]} failed: {why}")

    def say(self, line: str = "") -> None:
        self.lines.append(line)
        print(line)

    def until(self, true: Callable[[], bool], what: str) -> None:
        """Events come a moment after their answers."""
        ends_s = time.monotonic() + _PATIENCE_S
        while not true():
            if time.monotonic() > ends_s:
                raise SystemExit(f"{what} never came: is the model's answer what the rules look for?")
            time.sleep(0.01)

    def delivered(self) -> dict[str, int]:
        stats = httpx.get(f"{self.gateway}/cache/stats", timeout=60).json()
        return {name: counts["delivered"] for name, counts in stats["webhooks"].items()}


def _asked(base_url: str, model: str, api_key: str | None, content: Any) -> tuple[httpx.Response, str]:
    """The reply, and what the model said in it. Ends the example with a sentence where it said nothing."""
    address = f"{base_url.removesuffix('/v1')}/v1/chat/completions"
    body = {"model": model, "messages": [{"role": "user", "content": content}]}
    who = {"authorization": f"Bearer {api_key}"} if api_key else {}
    try:
        response = httpx.post(address, json=body, headers=who, timeout=300)
    except httpx.HTTPError as error:
        raise SystemExit(f"No model answers at {base_url}: {error}") from error
    why = "not as an OpenAI-compatible endpoint does"
    with suppress(ValueError, LookupError, TypeError):
        said = response.json()
        if response.is_success and isinstance(text := said["choices"][0]["message"]["content"], str):
            return response, text
        why = str(said["error"]["message"])
    raise SystemExit(f"{address} answered with HTTP {response.status_code}: {why}")


def fields(answer: str, *names: str) -> dict[str, Any]:
    """The JSON object that a prompt asks for; models like to put it in a code block. Ends the example with a sentence
    where the model said something else."""
    bare = re.sub(r"\A\s*```\w*\n|\n```\s*\Z", "", answer)
    with suppress(ValueError):
        found = json.loads(bare)
        if isinstance(found, dict) and all(name in found for name in names):
            return found
    raise SystemExit(f"The model did not answer with a JSON object that has {', '.join(names)}: {answer[:200]!r}")


def copy(picture: bytes, quality: int = 82, scale: float = 1.0) -> bytes:
    """The same picture as someone else's file: a JPEG, perhaps of another size."""
    shown = Image.open(BytesIO(picture)).convert("RGB")
    if scale != 1:
        shown = shown.resize((round(shown.width * scale), round(shown.height * scale)), Image.Resampling.LANCZOS)
    file = BytesIO()
    shown.save(file, "JPEG", quality=quality)
    return file.getvalue()


def arguments(what: str, words: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=what)
    parser.add_argument("--upstream", help="base URL of your model's endpoint; without it, a stand-in answers")
    parser.add_argument("--model", help="its model's name")
    parser.add_argument("--api-key", default=os.environ.get("OPENAI_API_KEY"), help="default: OPENAI_API_KEY")
    parser.add_argument("--out", type=Path, help="where files are written; default: a new folder")
    given = parser.parse_args(words)
    if given.upstream and not given.model:
        parser.error("--upstream needs --model")
    if given.out and given.out.exists() and not given.out.is_dir():
        parser.error(f"--out {given.out} is no folder")
    return given


@contextmanager
def stage(folder: Path, what: str, words: list[str] | None, acts: dict[str, Act] | None = None) -> Iterator[Stage]:
    """A gateway with the settings in `folder`, a receiver for each of `acts` (by webhook), and, unless an upstream is
    given, the stand-in. All of it on this machine, and gone at the end but for what is in `out`."""
    given = arguments(what, words)
    root = logging.getLogger()
    with ExitStack() as stack:
        stack.callback(root.setLevel, root.level)
        root.setLevel(logging.ERROR)
        out = given.out or Path(tempfile.mkdtemp(prefix=f"lookalike-{folder.name}-"))
        out.mkdir(parents=True, exist_ok=True)
        standin = None if given.upstream else Standin(folder)
        upstream = given.upstream or stack.enter_context(served(standin.app if standin else None)).url
        cache_dir = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="lookalike-store-")))
        settings = _settings(folder, upstream, cache_dir)
        if given.upstream:  # a wrong address, key or model is told at once, and not by each picture
            _asked(settings.upstream, given.model, given.api_key, "Say: ready.")
        settings = _with_receivers(settings, acts or {}, given.model or MODEL, stack)
        app = create_app(settings, open_store(settings))
        gateway = stack.enter_context(served(app)).url
        while httpx.get(f"{gateway}/cache/health/ready?embedder=1").status_code != 200:
            time.sleep(0.05)
        key = None if standin else given.api_key
        yield Stage(folder, out.resolve(), gateway, given.model or MODEL, key, standin, app)


def _settings(folder: Path, upstream: str, cache_dir: Path) -> Settings:
    try:
        return load_settings(folder / "settings.toml", upstream=upstream, cache_dir=cache_dir, embedder="dct")
    except ConfigError as error:
        raise SystemExit(f"The settings do not work: {error}") from error


def served(app: ASGIApp | None) -> InThread:
    async def made() -> ASGIApp:
        assert app is not None
        return app

    return InThread(made)


def _with_receivers(settings: Settings, acts: dict[str, Act], model: str, stack: ExitStack) -> Settings:
    """The same settings, with webhooks and classifiers pointing to what runs here."""
    webhooks = []
    for webhook in settings.webhooks:
        url = stack.enter_context(served(receiver(webhook.key(), acts[webhook.name]))).url
        webhooks.append(webhook.model_copy(update={"url": f"{url}/events"}))
    classifiers = tuple(one.model_copy(update={"model": model}) for one in settings.classifiers)
    return settings.model_copy(update={"webhooks": tuple(webhooks), "classifiers": classifiers})
