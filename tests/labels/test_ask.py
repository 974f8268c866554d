"""Labels from a model over real HTTP: asked once, remembered, and never a trouble."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest

from gateway.labels.ask import Labels
from gateway.labels.settings import Classifier
from gateway.labels.table import Table
from tests.fakes.asgi import Seen, lifespan, read, send_json
from tests.flows.conftest import serving

SECRET = b"s" * 32


class Model:
    """Says what it is told to, and keeps what it was asked."""

    def __init__(self) -> None:
        self.says: Any = "refund"
        self.status = 200
        self.hangs = False
        self.seen: list[Seen] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            return await lifespan(receive, send)
        self.seen.append(await read(scope, receive))
        while self.hangs and (await receive())["type"] != "http.disconnect":
            pass
        choice = {"index": 0, "message": {"role": "assistant", "content": self.says}, "finish_reason": "stop"}
        return await send_json(send, {"object": "chat.completion", "choices": [choice]}, self.status)


@pytest.fixture
def model() -> Model:
    return Model()


@pytest.fixture
def url(model: Model) -> Iterator[str]:
    with serving(model) as found:
        yield found


def classifier(**given: Any) -> Classifier:
    plain = {"name": "intent", "model": "small", "labels": ("refund", "other"), "prompt": "{prompt}: {answer}?"}
    return Classifier(**plain | given)


@asynccontextmanager
async def labels(url: str, file: Path | None = None, **given: Any) -> AsyncIterator[Labels]:
    made = Labels((classifier(**given),), url, file, SECRET)
    try:
        yield made
    finally:
        await made.close()


def counts(made: Labels) -> dict[str, Any]:
    report: dict[str, Any] = made.report()["intent"]
    return report


def test_a_model_is_asked_with_question_and_answer_and_without_a_clients_key(model: Model, url: str):
    async def ask() -> str | None:
        async with labels(url, api_key="sk-own") as made:
            return await made.label("intent", "what now?", "send it back")

    assert anyio.run(ask) == "refund"
    (seen,) = model.seen
    assert seen.path == "/v1/chat/completions"
    assert seen.header("authorization") == "Bearer sk-own"
    assert b'"temperature":0' in seen.body
    assert b"what now?: send it back?" in seen.body


def test_the_same_is_asked_once_also_at_once_and_after_a_restart(model: Model, url: str, tmp_path: Path):
    file = tmp_path / "labels.sqlite"

    async def ask(times: int, answer: str) -> list[str | None]:
        said: list[str | None] = []
        async with labels(url, file) as made:

            async def one() -> None:
                said.append(await made.label("intent", "what now?", answer))

            async with anyio.create_task_group() as tasks:
                for _ in range(times):
                    tasks.start_soon(one)
            assert counts(made)["asked"] + counts(made)["cached"] == times
        return said

    assert anyio.run(ask, 5, "a SECRETWORD") == ["refund"] * 5
    assert anyio.run(ask, 2, "a SECRETWORD") == ["refund"] * 2
    assert len(model.seen) == 1
    assert anyio.run(ask, 1, "another") == ["refund"]
    assert len(model.seen) == 2
    assert not any(b"SECRETWORD" in each.read_bytes() for each in tmp_path.iterdir())


def test_none_is_remembered_too(model: Model, url: str):
    model.says = "neither of them"

    async def ask() -> dict[str, Any]:
        async with labels(url) as made:
            assert await made.label("intent", None, "x") is None
            assert await made.label("intent", None, "x") is None
            return counts(made)

    assert anyio.run(ask) == {"asked": 1, "cached": 1, "failed": 0, "labels": {}, "none": 2, "trouble": None}


@pytest.mark.parametrize(
    ("trouble", "word"),
    [
        ({"status": 500}, "HTTP 500"),
        ({"status": 307}, "HTTP 307"),
        ({"says": None}, "its reply is no text"),
        ({"says": "x" * 300_000}, "its reply is too large"),
        ({"hangs": True}, "timeout"),
    ],
)
def test_a_failure_is_no_label_and_is_not_remembered(model: Model, url: str, trouble: dict[str, Any], word: str):
    for name, value in trouble.items():
        setattr(model, name, value)

    async def ask() -> list[dict[str, Any]]:
        async with labels(url, timeout_s=0.3) as made:
            assert await made.label("intent", None, "x") is None
            failed = counts(made)
            model.says, model.status, model.hangs = "refund", 200, False
            assert await made.label("intent", None, "x") == "refund"
            return [failed, counts(made)]

    failed, mended = anyio.run(ask)
    assert (failed["failed"], failed["trouble"]) == (1, word)
    assert (mended["failed"], mended["trouble"], mended["labels"]) == (1, None, {"refund": 1})


def test_nobody_there_is_no_label(tmp_path: Path):
    async def ask() -> str | None:
        async with labels("http://127.0.0.1:1") as made:
            return await made.label("intent", None, "x")

    assert anyio.run(ask) is None


def test_an_unknown_classifier_gives_none(url: str):
    async def ask() -> str | None:
        async with labels(url) as made:
            return await made.label("other", None, "x")

    assert anyio.run(ask) is None


def test_another_template_or_model_is_another_question(model: Model, url: str, tmp_path: Path):
    async def ask(**given: Any) -> None:
        async with labels(url, tmp_path / "labels.sqlite", **given) as made:
            await made.label("intent", "q", "a")

    for given in ({}, {"model": "large"}, {"prompt": "so {answer}"}, {"labels": ("refund",)}, {}):
        anyio.run(lambda given=given: ask(**given))

    assert len(model.seen) == 4


def test_the_table_is_bounded_and_the_oldest_go(tmp_path: Path):
    table = Table(tmp_path / "labels.sqlite", most=3)
    for number in range(5):
        table.put(b"%d" % number, "refund")

    assert [table.get(b"%d" % number) for number in range(5)] == [None, None, *[("refund",)] * 3]
    table.close()


def test_a_damaged_table_is_begun_anew(tmp_path: Path):
    file = tmp_path / "labels.sqlite"
    file.write_bytes(b"no database" * 1000)
    table = Table(file)
    table.put(b"k", None)

    assert table.get(b"k") == (None,)
    table.close()


@pytest.mark.parametrize(
    "given",
    [
        {"labels": ()},
        {"labels": ("a", "A!")},
        {"labels": ("...",)},
        {"prompt": "no place for it"},
        {"prompt": None},
        {"prompt_file": "/no/such/file", "prompt": None},
        {"api_key_file": "/no/such/file"},
        {"api_key": " "},
        {"base_url": "localhost:8000"},
    ],
)
def test_what_is_no_classifier(given: dict[str, Any]):
    with pytest.raises(ValueError):
        classifier(**given)
