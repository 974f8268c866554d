"""Whether the cache has an answer, and why not."""

import base64
import random

import anyio
import httpx
import orjson
import pytest

from gateway.bulk.ask import Asker, Pacer
from gateway.bulk.items import Answer, Failure, Item, Recipe
from gateway.demo import cards
from gateway.warm.compose import Shape, compose
from gateway.warm.kept import NOT_KEPT, Check, why_missing
from tests.fakes.pictures import data_url, png

CARD = data_url(png(cards.draw("48.20")))
CHAT = "/v1/chat/completions"
ITEM = Item("a", 1, Recipe((CARD,), "Price?"))
PIXELS_MAX = 10_000_000


def reply(finish: str = "stop", tokens_out: int = 3) -> bytes:
    choice = {"index": 0, "message": {"role": "assistant", "content": "48.20"}, "finish_reason": finish}
    usage = {"prompt_tokens": 9, "completion_tokens": tokens_out, "total_tokens": 9 + tokens_out}
    return orjson.dumps({"id": "c", "object": "chat.completion", "model": "m", "choices": [choice], "usage": usage})


def answer(cache: str = "miss", reason: str = "first-asked") -> Answer:
    return Answer(cache, reason, 200, "r", "m", 1.0, 9, 3, reply())


def asked(picture: str = CARD) -> bytes:
    return compose(Recipe((picture,), "Price?"), [picture], Shape("m"))[1]


@pytest.mark.parametrize(
    ("path", "body", "came", "why"),
    [
        (CHAT, asked("data:image/png;base64,bm8gcGljdHVyZQ=="), reply(), "picture-unreadable"),
        (CHAT, asked(data_url(png(cards.draw("17.50"))[:-200])), reply(), "picture-unreadable"),
        (CHAT, asked(), reply("length"), "truncated-answer"),
        (CHAT, asked(), reply("content_filter"), "refused"),
        (CHAT, b"{}", reply(), "unknown-shape"),
        ("/v1/else", asked(), reply(), "no-dialect"),
        (CHAT, asked(), reply(), "not-stored"),
    ],
)
def test_why_an_answer_was_not_kept(path: str, body: bytes, came: bytes, why: str):
    assert why_missing(path, body, came, PIXELS_MAX) == why


def test_a_picture_is_no_larger_than_the_settings_let_it_be():
    assert why_missing(CHAT, asked(), reply(), pixels_max=100) == "picture-too-large"


def missing(reason: str) -> httpx.Response:
    words = f"lookalike: only-if-cached was asked for, and there is no stored answer ({reason})"
    return httpx.Response(504, json={"type": "error", "error": {"type": "api_error", "message": words}})


def checked(response: httpx.Response, given: Answer, seen: list[httpx.Request]) -> Answer | Failure:
    def handle(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return response

    async def wait(seconds: float) -> None:
        raise AssertionError("a lookup is not repeated")

    async def composed(item: Item) -> tuple[str, bytes]:
        return CHAT, asked()

    async def run() -> Answer | Failure:
        async with httpx.AsyncClient(transport=httpx.MockTransport(handle), base_url="http://gateway") as client:
            fields = (("authorization", "Bearer k"), ("Cache-Control", "no-cache"), ("pragma", "no-cache"))
            pacer = Pacer(None, lambda: 0.0, wait)
            ask = Asker(client, pacer, 5, lambda: 0.0, lambda: 0.0, wait, random.Random(1), fields)
            return await Check(ask, composed, PIXELS_MAX)(ITEM, given)

    return anyio.run(run)


def test_what_is_not_found_is_not_kept():
    seen: list[httpx.Request] = []
    found = checked(missing("first-asked"), answer(), seen)

    assert found == Failure(NOT_KEPT, "not-stored", 200)
    (request,) = seen
    assert request.headers.get_list("cache-control") == ["only-if-cached"]
    assert "pragma" not in request.headers
    assert request.headers["authorization"] == "Bearer k"


@pytest.mark.parametrize(
    "response",
    [
        httpx.Response(200, content=reply(), headers={"cache-status": "lookalike; hit; ttl=5; detail=exact"}),
        missing("key-unverified"),
        missing("cache-slow"),
        httpx.Response(503, json={"error": {"message": "overloaded"}}),
        httpx.Response(504, content=base64.b64encode(b"a proxy's own")),
    ],
)
def test_in_doubt_an_answer_is_there(response: httpx.Response):
    assert checked(response, answer(), []) == answer()


def test_an_answer_past_the_cache_needs_no_lookup():
    seen: list[httpx.Request] = []

    assert checked(missing("x"), answer("bypass", "stateful"), seen) == Failure(NOT_KEPT, "stateful", 200)
    assert seen == []
