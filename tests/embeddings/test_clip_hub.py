"""Weights from a hub: a real server on this machine that answers as huggingface.co does, or fails to."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from embeddings.base import EmbedderUnavailable
from embeddings.clip import ClipEmbedder, ClipOptions
from tests.fakes import clip_checkpoint

COMMIT = "0123456789abcdef0123456789abcdef01234567"
Respond = Callable[[BaseHTTPRequestHandler, str], None]
Point = Callable[[str], None]


@pytest.fixture
def point(monkeypatch: pytest.MonkeyPatch) -> Point:
    """Makes a base URL the hub, as HF_ENDPOINT does at start."""
    clip_checkpoint.imported()
    import huggingface_hub.constants

    def to(base: str) -> None:
        template = base + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr(huggingface_hub.constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_DISABLE_XET", True)
        monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)  # whoever runs this may have set it

    return to


@contextmanager
def hub(point: Point, respond: Respond) -> Iterator[list[str]]:
    """Serves until the end of the block; gives the list of what was asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            name = self.path.rpartition("/")[2]
            asked.append(f"{self.command} {name}")
            respond(self, name)

        do_HEAD = do_GET

        def log_message(self, format: str, *args: object) -> None:
            """Not to the test's output."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        point(f"http://127.0.0.1:{server.server_port}")
        try:
            yield asked
        finally:
            server.shutdown()
            thread.join()


def files_of(folder: Path, *names: str) -> Respond:
    def respond(handler: BaseHTTPRequestHandler, name: str) -> None:
        if name not in names:
            return empty(handler, 404, "EntryNotFound")
        body = (folder / name).read_bytes()
        handler.send_response(200)
        handler.send_header("ETag", f'"{sha256(body).hexdigest()}"')
        handler.send_header("X-Repo-Commit", COMMIT)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        if handler.command == "GET":
            handler.wfile.write(body)
        return None

    return respond


def empty(handler: BaseHTTPRequestHandler, status: int, code: str | None = None) -> None:
    handler.send_response(status)
    if code:
        handler.send_header("X-Error-Code", code)
    handler.send_header("Content-Length", "0")
    handler.end_headers()


def options(cache: Path, model: str = "hf-hub:somebody/tiny") -> ClipOptions:
    return ClipOptions(model, device="cpu", cache_dir=cache)


@contextmanager
def seconds(most: float) -> Iterator[None]:
    began = time.monotonic()
    yield
    assert time.monotonic() - began < most


def test_a_model_of_the_hub_is_fetched_once_and_then_needs_no_hub(
    clip_folder: Path, tmp_path: Path, point: Point
) -> None:
    serve = files_of(clip_folder, "open_clip_config.json", clip_checkpoint.WEIGHTS)
    with hub(point, serve) as asked:
        first = ClipEmbedder(options(tmp_path))
    point("http://127.0.0.1:1")  # nobody listens on port 1
    second = ClipEmbedder(options(tmp_path))

    assert f"GET {clip_checkpoint.WEIGHTS}" in asked
    assert first.space == second.space
    assert first.space.name == "clip:hf-hub:somebody/tiny"


def test_a_tag_is_looked_for_under_both_names_of_its_file(clip_folder: Path, tmp_path: Path, point: Point) -> None:
    old_name = "open_clip_pytorch_model.bin"
    (tmp_path / old_name).write_bytes((clip_folder / clip_checkpoint.WEIGHTS).read_bytes())

    with hub(point, files_of(tmp_path, old_name)) as asked, pytest.raises(EmbedderUnavailable) as caught:
        ClipEmbedder(options(tmp_path / "cache", "ViT-B-32"))

    assert asked[:2] == [f"HEAD {clip_checkpoint.WEIGHTS}", f"HEAD {old_name}"]
    assert asked[-1] == f"GET {old_name}"
    assert "check that the file is whole" in str(caught.value)  # it arrived, and is not a ViT-B-32


def test_a_repository_without_weights_is_unavailable(tmp_path: Path, point: Point) -> None:
    with hub(point, files_of(tmp_path)), pytest.raises(EmbedderUnavailable, match="has none of"):
        ClipEmbedder(options(tmp_path))


def test_a_hub_that_nobody_answers_for_costs_seconds(tmp_path: Path, point: Point) -> None:
    point("http://127.0.0.1:1")

    with seconds(3), pytest.raises(EmbedderUnavailable, match="cannot be fetched"):
        ClipEmbedder(options(tmp_path, "ViT-B-32"))


def test_a_hub_in_trouble_is_asked_once(tmp_path: Path, point: Point) -> None:
    trouble = hub(point, lambda handler, name: empty(handler, 503))
    with trouble as asked, seconds(3), pytest.raises(EmbedderUnavailable, match="503"):
        ClipEmbedder(options(tmp_path, "ViT-B-32"))

    assert asked == [f"HEAD {clip_checkpoint.WEIGHTS}"]


def test_a_hub_that_never_answers_is_given_up(tmp_path: Path, point: Point, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("embeddings.clip.HUB_ANSWER_S", 0.1)
    end = threading.Event()

    def hang(handler: BaseHTTPRequestHandler, name: str) -> None:
        end.wait(10)

    with hub(point, hang):
        with seconds(3), pytest.raises(EmbedderUnavailable, match="cannot be fetched"):
            ClipEmbedder(options(tmp_path, "ViT-B-32"))
        end.set()
