"""An upstream that errs, stalls, cuts, lies about lengths and changes its answers; and remembers what it did.

It speaks every format with the bytes of recorded replies (tests/fakes/servers). It writes to the socket itself: a
server that is meant to be right would not let it lie.
"""

import asyncio
import base64
import hashlib
import json
import random
import re
import socket
import struct
from collections import Counter, defaultdict
from collections.abc import Iterator

import h11

from benchmarks.chaos.world import DIALECTS, NOBODY, Key, World
from tests.fakes.asgi import Seen
from tests.fakes.servers.base import Server
from tests.fakes.servers.dashscope import DashScopeServer, InferenceServer
from tests.fakes.servers.named_events import MessagesServer, ResponsesServer
from tests.fakes.servers.ollama import OllamaServer
from tests.fakes.servers.openai_chat import ChatServer

INTACT = "intact"
_FAULTS = {
    "error-400": 2,
    "error-401": 1,
    "error-429": 3,
    "error-500": 4,
    "error-503": 4,
    "cut": 6,  # within the body
    "cut-head": 3,  # before any of it
    "reset": 2,  # the connection is reset in the middle
    "stall": 1,  # until the gateway has had enough
    "longer-than-said": 2,
    "shorter-than-said": 3,
    "bad-chunk": 2,
    "not-json": 3,
    "empty": 2,
    "no-http": 1,
    "wrong-type": 2,
}
_PROMPT = re.compile(rb"Question-\d+")
_PICTURE = re.compile(rb'"(?:data:image/png;base64,)?([A-Za-z0-9+/=]{1000,})"')


class Upstream:
    """`trouble`: the share of requests that go wrong."""

    def __init__(self, world: World, seed: int, trouble: float, delay_s: float = 0.01) -> None:
        self._world, self._trouble, self._delay_s = world, trouble, delay_s
        self._random = random.Random(seed)
        self._servers: dict[str, Server] = {
            "openai-chat": ChatServer("vllm"),
            "openai-responses": ResponsesServer(),
            "anthropic-messages": MessagesServer(),
            "ollama-chat": OllamaServer("ollama_chat"),
            "ollama-generate": OllamaServer("ollama_generate"),
            "dashscope": DashScopeServer(),
            "service-inference": InferenceServer(),
        }
        self._named = {path: name for name, path in DIALECTS.items()}
        self.given: dict[Key, set[str]] = defaultdict(set)  # tokens of answers that were sent whole
        self.did: dict[int, list[str]] = defaultdict(list)  # by the number of the request: usually one thing
        self.faults: dict[Key, set[str]] = defaultdict(set)
        self.counts: Counter[str] = Counter()
        self.connections = 0
        self._version = 0
        self._server: asyncio.Server | None = None

    async def start(self) -> str:
        self._server = await asyncio.start_server(self._connection, "127.0.0.1", 0, backlog=4096)
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while await self._request(reader, writer):
                pass
        except (OSError, EOFError, h11.ProtocolError, asyncio.CancelledError):  # the gateway, or all, is over
            pass
        finally:
            self.connections -= 1
            writer.close()

    async def _request(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """False: the connection is over."""
        heard = h11.Connection(h11.SERVER)
        request, body = None, bytearray()
        while True:
            match heard.next_event():
                case h11.NEED_DATA:
                    heard.receive_data(await reader.read(2**18))
                case h11.Request() as request:
                    pass
                case h11.Data(data=data):
                    body += data
                case h11.EndOfMessage():
                    break
                case h11.ConnectionClosed():
                    return False
        assert request is not None
        return await self._answer(request, bytes(body), writer)

    async def _answer(self, request: h11.Request, body: bytes, writer: asyncio.StreamWriter) -> bool:
        fields = {name.decode(): value.decode("latin-1") for name, value in request.headers}
        dialect = self._named[request.target.decode()]
        key = self._key(dialect, fields, body)
        number = int(fields["x-chaos"])
        did = INTACT
        if self._random.random() < self._trouble:
            [did] = self._random.choices(list(_FAULTS), list(_FAULTS.values()))
            self.faults[key].add(did)
        self.did[number].append(did)
        self.counts[did] += 1
        self._version += 1
        await asyncio.sleep(self._random.uniform(0.5, 1.5) * self._delay_s)
        reply = self._reply(dialect, request, fields, body, key.token(self._version))
        return await self._send(did, reply, key, writer)

    def _key(self, dialect: str, fields: dict[str, str], body: bytes) -> Key:
        [file] = {base64.b64decode(found) for found in _PICTURE.findall(body)}
        [about] = set(_PROMPT.findall(body))
        model = json.loads(body).get("model", "")
        tenant = fields.get("authorization", NOBODY).removeprefix("Bearer sk-")
        return Key(tenant, dialect, model, about.decode(), self._world.price_of[hashlib.sha256(file).digest()])

    def _reply(self, dialect: str, request: h11.Request, fields: dict[str, str], body: bytes, token: str) -> "_Reply":
        server, asked = self._servers[dialect], json.loads(body)
        said = f"The label says {token} and that is all."
        seen = Seen("POST", request.target.decode(), "", list(request.headers), body)
        if server.wants_stream(seen, asked):
            return _Reply(token, server.stream_type, server.frames(said, self._version, asked), True)
        whole = json.dumps(server.whole(said, self._version, asked), ensure_ascii=False).encode()
        return _Reply(token, "application/json", [whole], False)

    async def _send(self, did: str, reply: "_Reply", key: Key, writer: asyncio.StreamWriter) -> bool:
        match did.partition("-"):
            case ("intact", _, _):
                *pieces, last = reply.wire()
                for piece in pieces:
                    writer.write(piece)
                    await writer.drain()
                    await asyncio.sleep(0)
                self.given[key].add(reply.token)  # before its end can be anywhere else
                writer.write(last)
                await writer.drain()
                return True
            case ("error", _, status):
                error = json.dumps({"error": {"message": "the upstream errs", "code": status}}).encode()
                writer.write(_head(int(status), "application/json", len(error)) + error)
                return True
            case ("stall", _, _):
                await asyncio.sleep(60)
            case ("no", "-", "http"):
                writer.write(b"\x00\x01 not HTTP at all \xff\r\n\r\n")
            case ("not", "-", "json"):
                body = b"<html>a proxy says " + reply.token.encode()[:-1] + b" and no more"
                writer.write(_head(200, "application/json", len(body)) + body)
                return True
            case ("empty", _, _):
                writer.write(_head(200, reply.media_type, 0))
                return True
            case ("wrong", "-", "type"):
                self.given[key].add(reply.token)  # an answer all the same, if someone can read it
                body = b"".join(reply.frames)
                writer.write(_head(200, "text/html", len(body)) + body)
                return True
            case ("longer", "-", _):
                body = b"".join(reply.frames)
                writer.write(_head(200, reply.media_type, len(body) // 2) + body)
            case ("shorter", "-", _):
                body = b"".join(reply.frames)
                writer.write(_head(200, reply.media_type, len(body) + 100) + body)
            case ("bad", "-", _):
                wire = list(reply.wire(chunked=True))
                writer.write(b"".join(wire[: len(wire) // 2 + 1]) + b"zz\r\nnot a chunk\r\n0\r\n\r\n")
            case ("cut", "-", "head"):
                pass
            case ("cut", _, _):
                wire = b"".join(reply.wire())
                writer.write(wire[: self._random.randrange(20, len(wire) - 8)])
            case _:
                wire = b"".join(reply.wire())
                writer.write(wire[: len(wire) // 2])
                await writer.drain()
                linger = struct.pack("ii", 1, 0)
                writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        await writer.drain()
        return False


class _Reply:
    def __init__(self, token: str, media_type: str, frames: list[bytes], streams: bool) -> None:
        self.token, self.media_type, self.frames, self._streams = token, media_type, frames, streams

    def wire(self, chunked: bool | None = None) -> Iterator[bytes]:
        if self._streams if chunked is None else chunked:
            yield _head(200, self.media_type, None)
            for frame in self.frames:
                yield b"%x\r\n%b\r\n" % (len(frame), frame)
            yield b"0\r\n\r\n"
        else:
            body = b"".join(self.frames)
            yield _head(200, self.media_type, len(body))
            yield body


def _head(status: int, media_type: str, length: int | None) -> bytes:
    framing = "transfer-encoding: chunked" if length is None else f"content-length: {length}"
    return f"HTTP/1.1 {status} Whatever\r\ncontent-type: {media_type}\r\n{framing}\r\n\r\n".encode()
