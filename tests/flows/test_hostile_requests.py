"""Requests that were made to do harm, through a real gateway: each is passed through, a miss, or refused in words.

Never a 500 of ours, never a hang, and never another picture's answer.
"""

import gzip
import json
import struct
import zlib
from io import BytesIO
from typing import Any

import httpx
import pytest
from PIL import Image

from gateway.demo import cards
from tests.fakes.asgi import Seen, lifespan, read, start
from tests.fakes.pictures import card, data_url, jpeg, png, webp
from tests.flows.conftest import Address, Build, Stage
from tests.flows.test_passthrough import question
from tests.flows.test_wishes import post
from tests.gateway.test_pictures_broken import WEBP_OF_268_MEGAPIXELS, png_of

CARD = cards.draw("48.20")


class Echo:
    """An upstream that reads no picture, and says yes to anything."""

    def __init__(self, reply: bytes = b"", fields: tuple[tuple[bytes, bytes], ...] = ()) -> None:
        message = {"role": "assistant", "content": "yes"}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        self.reply = reply or json.dumps({"id": "x", "choices": [choice]}).encode()
        self.fields = fields
        self.seen: list[Seen] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            return await lifespan(receive, send)
        self.seen.append(await read(scope, receive))
        await send(start(200, [(b"content-type", b"application/json"), *self.fields]))
        return await send({"type": "http.response.body", "body": self.reply})


@pytest.fixture
def yes(build: Build, address: Address) -> Stage:
    address.upstream = Echo()
    return build(near=False, upstream=address.url)


def asked(stage: Stage, body: bytes, **headers: str) -> httpx.Response:
    fields = {"content-type": "application/json"} | {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx.post(f"{stage.gateway}/v1/chat/completions", content=body, headers=fields, timeout=60)


def reason(reply: httpx.Response) -> str:
    assert reply.status_code == 200
    return reply.headers["cache-status"].rpartition("detail=")[2]


def _patched(data: bytes, old: bytes, new: bytes) -> bytes:
    assert old in data
    return data.replace(old, new, 1)


def _saved(form: str, **options: Any) -> bytes:
    file = BytesIO()
    Image.new("RGB", (9, 9), "red").save(file, form, **options)
    return file.getvalue()


def _tiff_of(side: int) -> bytes:
    """Of nothing but its directory: width, height, bits, compression, RGB, where the pixels would be."""
    tags = [
        (256, 4, side),
        (257, 4, side),
        (258, 3, 8),
        (259, 3, 1),
        (262, 3, 1),
        (273, 4, 8),
        (277, 3, 1),
        (279, 4, 9),
    ]
    entries = b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in tags)
    return b"II*\0" + struct.pack("<I", 8) + struct.pack("<H", len(tags)) + entries + bytes(4)


_SIDE = 60_000
BOMBS = {
    "png": png_of(_SIDE, _SIDE, zlib.compress(bytes(3_000_000), 9)),
    "gif": _patched(_saved("GIF"), struct.pack("<HH", 9, 9), struct.pack("<HH", 65_535, 65_535)),
    "jpeg": _patched(_saved("JPEG"), struct.pack(">HH", 9, 9), struct.pack(">HH", 65_535, 65_535)),
    "tiff": _tiff_of(_SIDE),
    "webp": bytes.fromhex(WEBP_OF_268_MEGAPIXELS),
    "bmp": _patched(_saved("BMP"), struct.pack("<ii", 9, 9), struct.pack("<ii", _SIDE, _SIDE)),
    "a thousand frames": _saved(
        "GIF", save_all=True, append_images=[Image.new("RGB", (9, 9), (n, 0, 0)) for n in range(250)]
    ),
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_a_bomb_is_passed_on_unopened(yes: Stage, bomb: str) -> None:
    reply = asked(yes, json.dumps(question(BOMBS[bomb])).encode())

    assert reason(reply) in ("picture-too-large", "picture-animated", "picture-unreadable", "first-asked")
    again = asked(yes, json.dumps(question(BOMBS[bomb])).encode())
    assert again.status_code == 200
    assert yes.stats()["not_stored"].keys() <= {"picture-unreadable-here"}


@pytest.mark.parametrize("coding", ["gzip", "deflate", "zstd", "br", "gzip, gzip", "x-gzip"])
def test_a_coded_body_passes_unread_whatever_it_would_inflate_to(yes: Stage, address: Address, coding: str) -> None:
    bomb = gzip.compress(bytes(50_000_000), 9)
    reply = asked(yes, bomb, content_encoding=coding)

    assert reason(reply) == "encoded-body"
    assert address.upstream.seen[0].body == bomb


@pytest.mark.parametrize("coding", [b"gzip", b"deflate"])
def test_a_reply_that_inflates_to_more_than_is_kept_is_not_kept(build: Build, address: Address, coding: bytes) -> None:
    plain = b'{"a":"' + bytes(100_000_000) + b'"}'
    coded = gzip.compress(plain, 9) if coding == b"gzip" else zlib.compress(plain, 9)
    address.upstream = Echo(coded, ((b"content-encoding", coding),))
    stage = build(near=False, upstream=address.url, reply_bytes_max=1_000_000)
    with httpx.stream("POST", f"{stage.gateway}/v1/chat/completions", json=question(card("48.20"))) as reply:
        passed = b"".join(reply.iter_raw())

    assert passed == coded
    assert stage.stats()["not_stored"] == {"reply-too-large": 1}


PICTURE = data_url(card("48.20"))
PART = {"type": "image_url", "image_url": {"url": PICTURE}}
ASKED = '"messages":' + json.dumps([{"role": "user", "content": [PART]}]) + "}"
WRITINGS = {
    "NaN": ('{"model":"m","temperature":NaN,', "not-json"),
    "huge": ('{"model":"m","seed":1e999,', "not-json"),
    "a long number": ('{"model":"m","seed":12345678901234567890,', "ambiguous-json"),
    "a key twice": ('{"model":"m","model":"n",', "ambiguous-json"),
    "a key twice, escaped": ('{"model":"m","mod\\u0065l":"n",', "ambiguous-json"),
    "a lone surrogate": ('{"model":"\\ud800",', "not-json"),
    "a byte order mark": ('\ufeff{"model":"m",', "not-json"),
    "deep": ('{"model":"m","a":' + "[" * 5000 + "]" * 5000 + ",", "not-json ambiguous-json"),
    "a raw line break": ('{"model":"m\n",', "not-json"),
    "capitals": ('{"model":"m","Stream":true,', "ambiguous-json"),
}


@pytest.mark.parametrize("writing", WRITINGS)
def test_a_body_that_can_be_read_in_two_ways_passes_as_it_is(yes: Stage, address: Address, writing: str) -> None:
    begun, reasons = WRITINGS[writing]
    body = (begun + ASKED).encode()
    for _ in range(2):
        assert reason(asked(yes, body)) in reasons.split()
    assert [seen.body for seen in address.upstream.seen] == [body, body]


def test_a_body_that_is_not_utf8_passes_as_it_is(yes: Stage) -> None:
    body = b'{"model":"\xff",' + ASKED.encode()

    assert reason(asked(yes, body)) == "not-json"


POLYGLOTS = {
    "a PNG behind a JPEG": jpeg(CARD, 90) + card("73.19"),
    "a JPEG behind a PNG": card("48.20") + jpeg(cards.draw("73.19"), 90),
    "a ZIP behind a PNG": card("48.20") + b"PK\x03\x04" + bytes(100) + b"PK\x05\x06" + bytes(18),
    "HTML behind a GIF": _saved("GIF") + b"<script>alert(1)</script>",
    "a WebP behind a BMP": _saved("BMP") + webp(CARD),
    "a GIF in a JPEG's comment": _saved("JPEG", comment=_saved("GIF")),
}


@pytest.mark.parametrize("kind", POLYGLOTS)
def test_a_file_that_is_two_is_never_taken_for_one_of_them_by_its_likeness(stage: Stage, kind: str) -> None:
    """It is its own file: the picture in front, as every server sees that goes by the first bytes, or a miss."""
    file = POLYGLOTS[kind]
    behind = card("73.19")
    post(stage, behind, x_fake="text=the one behind")
    reply = post(stage, file, x_fake="text=its own")

    assert reply.status_code == 200
    assert reply.json()["choices"][0]["message"]["content"] == "its own"


VALUES = ["", "near, off", "exact;q=0", "off\x80", "1e9", "-1", "nan", "inf", "0x1", "9" * 400, "ＮＥＡＲ", "true", "*"]
WISHES = ("x-lookalike-mode", "x-lookalike-guard", "x-lookalike-threshold", "cache-control")


@pytest.mark.parametrize("name", WISHES)
def test_no_header_makes_matching_looser(build: Build, name: str) -> None:
    stage = build(near=False, mode="exact")
    url = f"{stage.gateway}/v1/chat/completions"
    post(stage, png(CARD))
    copy = json.dumps(question(png(CARD, compress_level=1))).encode()
    for value in [*VALUES, "near", "pixel", "strict, normal", "0.01"]:
        said = (name.encode(), value.encode())
        for fields in ([said], [said] * 3, [said, (name.upper().encode(), b"near")]):
            reply = httpx.post(url, content=copy, headers=[*fields, (b"cache-control", b"no-store")])

            assert reply.status_code in (200, 400)
            assert not reply.headers.get("cache-status", "").startswith("lookalike; hit"), value


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"request_pictures_max": 3}, "pictures-too-many"),
        ({"request_pixels_max": 4 * CARD.width * CARD.height - 1}, "picture-too-large"),
        ({"pixels_max": CARD.width * CARD.height - 1}, "picture-too-large"),
    ],
)
def test_what_is_too_much_passes_as_it_is(build: Build, settings: dict[str, Any], why: str) -> None:
    stage = build(near=False, **settings)
    body = question(card("48.20"))
    body["messages"][0]["content"] *= 4
    for number in (1, 2, 3):
        post(stage, card("48.20"))  # the question is known, so that the cache has a reason to look
        reply = httpx.post(f"{stage.gateway}/v1/chat/completions", json=body | {"seed": number // 2})

        assert reply.json()["choices"][0]["message"]["content"] == "prices: " + ", ".join(["48.20"] * 4)
    counted = stage.stats()
    assert counted["bypasses"]["by_reason"].get(why) or list(counted["not_stored"]) == ["picture-unreadable-here"]
