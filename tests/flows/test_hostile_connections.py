"""Bytes on a raw socket against the real server: shapes that two servers read differently, and clients that dribble.

Each ends as a clear refusal, or as exactly one request that the upstream sees as it was meant; never as a hang.
"""

import socket
from collections.abc import Iterator
from contextlib import suppress
from urllib.parse import urlsplit

import pytest

from gateway.app import create_app
from gateway.config import Settings
from gateway.door import Limits
from gateway.make import open_store
from gateway.server import InThread
from tests.fakes.upstream import FakeUpstream
from tests.flows.conftest import Address, Build

_WAIT_S = 30.0  # only ever waited for where something hangs


def said(url: str, *pieces: bytes) -> bytes:
    """All that the server says until it closes; the client says what it has to and then only listens."""
    parts = urlsplit(url)
    with socket.create_connection((parts.hostname or "", parts.port or 0), timeout=_WAIT_S) as client:
        with suppress(ConnectionError):
            for piece in pieces:
                client.sendall(piece)
        return heard(client)


def heard(client: socket.socket) -> bytes:
    got = []
    with suppress(ConnectionError):
        while chunk := client.recv(65_536):
            got.append(chunk)
    return b"".join(got)


def status(reply: bytes) -> int:
    return int(reply.split(b" ", 2)[1]) if reply else 0


HEAD = b"POST /v1/echo HTTP/1.1\r\nhost: h\r\nconnection: close\r\n"
SMUGGLED = b"GET /smuggled HTTP/1.1\r\nhost: h\r\n\r\n"

SHAPES = {
    "length and chunks": HEAD + b"content-length: 6\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n" + SMUGGLED,
    "chunks and length": HEAD + b"transfer-encoding: chunked\r\ncontent-length: 6\r\n\r\n0\r\n\r\n" + SMUGGLED,
    "two lengths": HEAD + b"content-length: 4\r\ncontent-length: 40\r\n\r\nabcd" + SMUGGLED,
    "two lengths in one": HEAD + b"content-length: 4, 40\r\n\r\nabcd" + SMUGGLED,
    "a negative length": HEAD + b"content-length: -4\r\n\r\nabcd" + SMUGGLED,
    "a signed length": HEAD + b"content-length: +4\r\n\r\nabcd" + SMUGGLED,
    "a length in hexadecimal": HEAD + b"content-length: 0x4\r\n\r\nabcd" + SMUGGLED,
    "a length of no number": HEAD + b"content-length: " + b"9" * 30 + b"\r\n\r\nabcd" + SMUGGLED,
    "a blank before the colon": HEAD + b"content-length : 4\r\n\r\nabcd" + SMUGGLED,
    "chunked in disguise": HEAD + b"transfer-encoding: xchunked\r\n\r\n0\r\n\r\n" + SMUGGLED,
    "chunked twice": HEAD + b"transfer-encoding: chunked\r\ntransfer-encoding: identity\r\n\r\n0\r\n\r\n" + SMUGGLED,
    "chunked with a tab": HEAD + b"transfer-encoding:\x0bchunked\r\n\r\n0\r\n\r\n" + SMUGGLED,
    "a chunk's size too large": HEAD + b"transfer-encoding: chunked\r\n\r\nfffffffffffffffff\r\nabcd" + SMUGGLED,
    "a chunk's size of no number": HEAD + b"transfer-encoding: chunked\r\n\r\n-4\r\nabcd\r\n0\r\n\r\n" + SMUGGLED,
    "a chunk longer than it says": HEAD + b"transfer-encoding: chunked\r\n\r\n4\r\nabcdefgh\r\n0\r\n\r\n" + SMUGGLED,
    "a folded field": HEAD + b"content-length: 4\r\nx-a: b\r\n\tcontent-length: 40\r\n\r\nabcd",
    "lines that end in LF": HEAD.replace(b"\r\n", b"\n") + b"content-length: 4\n\nabcd",
    "a CR alone": HEAD + b"x-a: b\rcontent-length: 40\r\ncontent-length: 4\r\n\r\nabcd",
    "a NUL in a field": HEAD + b"x-a: b\0c\r\ncontent-length: 4\r\n\r\nabcd",
    "no such version": b"GET / HTTP/9.9\r\nhost: h\r\n\r\n",
    "no such thing": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "HTTP/2 at once": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "a chunk's extension": HEAD + b"transfer-encoding: chunked\r\n\r\n4;a=b;c\r\nabcd\r\n0\r\n\r\n",
    "a connection": b"CONNECT 127.0.0.1:22 HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n",
    "an asterisk": b"OPTIONS * HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n",
    "a whole URL": b"GET http://other.example/v1/echo HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n",
    "a path that is no ASCII": "GET /é HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n".encode(),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_a_shape_that_servers_read_differently_is_refused_or_is_one_plain_request(build: Build, shape: str) -> None:
    stage = build(near=False)
    reply = said(stage.gateway, SHAPES[shape])
    seen = stage.upstream.seen

    assert status(reply) in (200, 400), reply
    assert b"Internal Server Error" not in reply
    assert len(seen) <= 1
    assert all(b"smuggled" not in each.path.encode() + each.body for each in seen)
    if status(reply) == 200:
        assert all(each.body in (b"", b"abcd") for each in seen)


def test_fields_after_a_body_never_join_those_before_it(build: Build) -> None:
    stage = build(near=False)
    reply = said(
        stage.gateway,
        HEAD + b"transfer-encoding: chunked\r\ntrailer: authorization\r\n\r\n4\r\nabcd\r\n0\r\n",
        b"authorization: Bearer other\r\nx-lookalike-mode: near\r\n\r\n",
    )

    assert status(reply) == 200
    assert not {"authorization", "x-lookalike-mode"} & {name for name, _ in stage.upstream.seen[0].headers}


@pytest.fixture
def small(address: Address) -> Iterator[str]:
    """A gateway whose limits a test can reach."""
    address.upstream = FakeUpstream()
    settings = Settings(upstream=address.url, store="memory", embedder="dct")

    async def made() -> object:
        return create_app(settings, open_store(settings))

    with InThread(made, Limits(receive_s=0.3, head_bytes=4096, head_fields=20, connections=3)) as server:
        yield server.url


def test_a_head_without_an_end_is_refused_before_it_fills_the_memory(small: str) -> None:
    for begun in (b"GET /", b"GET / HTTP/1.1\r\nx-a: ", b"GET / HTTP/1.1\r\nx"):
        # Whoever is still sending may find the door closed before the reply can be read.
        assert status(said(small, begun, *[b"a" * 500_000] * 20)) in (431, 0)
    assert status(said(small, b"GET / HTTP/1.1\r\n" + b"x-a: b\r\n" * 30)) == 431
    assert status(said(small, b"GET / HTTP/1.1\r\nhost: h\r\nx-a: " + b"a" * 5000 + b"\r\n\r\n")) == 431


def test_the_limits_of_a_head_are_none_of_a_body(small: str) -> None:
    body = b"a" * 3_000_000
    parts = [HEAD + b"content-length: %d\r\n\r\n" % len(body), *[body[:100_000]] * 30]

    assert status(said(small, *parts)) == 200
    assert (
        status(
            said(small, HEAD + b"transfer-encoding: chunked\r\n\r\n" + b"186a0\r\n" + body[:100_000], b"\r\n0\r\n\r\n")
        )
        == 200
    )


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        (b"", 0),
        (b"\r\n", 408),
        (b"GET / HTT", 408),
        (b"GET / HTTP/1.1\r\nhost: h\r\nx-a: b", 408),
        (b"POST /v1/chat/completions HTTP/1.1\r\nhost: h\r\ncontent-length: 9\r\n\r\n{", 408),
        (b"POST /v1/other HTTP/1.1\r\nhost: h\r\ncontent-length: 9\r\n\r\n{", 408),
        (b"POST /v1/chat/completions HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n1;a", 408),
    ],
)
def test_what_never_arrives_is_not_waited_for(small: str, sent: bytes, expected: int) -> None:
    assert status(said(small, sent)) == expected


def test_a_request_after_another_is_not_waited_for_either(small: str) -> None:
    whole = b"GET /v1/a HTTP/1.1\r\nhost: h\r\n\r\n"
    reply = said(small, whole, b"GET /v1/b HTTP/1.1\r\nho")

    assert status(reply) == 200
    assert reply.count(b"HTTP/1.1 408 ") == 1


def test_there_are_no_more_connections_than_are_allowed(small: str) -> None:
    parts = urlsplit(small)
    place = (parts.hostname or "", parts.port or 0)
    held = [socket.create_connection(place, timeout=_WAIT_S) for _ in range(3)]
    try:
        assert status(said(small)) == 503
    finally:
        for each in held:
            each.close()
