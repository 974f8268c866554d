"""The ASGI end of the gateway: one request in, one reply out, whatever happens in between.

Reads a body only if a dialect claims the path, and never more of it than the limit: everything else
streams through. Credentials are digested here and go no further, except to the upstream they are for.
"""

import functools
import hashlib
import hmac
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import assert_never

import anyio
from starlette.types import Message, Receive, Scope, Send

from cache.stores.base import Clock
from gateway import headers
from gateway.account import Account, Trail
from gateway.capture import Answered, Tap
from gateway.config import Settings
from gateway.dialects import DIALECTS, claim
from gateway.dialects.base import Dialect
from gateway.dialects.framing import Editor
from gateway.errors import GatewayError
from gateway.forward import Body, Upstream
from gateway.plan import Forward, Planner, Serve, Storing, refuse_to_forward
from gateway.question import Bypass, Call, Unstored
from gateway.serve import cache_headers, refuse, serve
from gateway.sightings import Sightings
from gateway.tally import TENANT_DIGITS
from gateway.tracing import Tracing

# A client that closes on an answer's own end mark may be gone before HTTP's: such an answer is whole.
_PARTING_S = 0.05
_PASSING = Forward()


class ClientGone(Exception):
    """The client left before its request had arrived whole."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request as ASGI gives it. Paths and query stay percent-encoded."""

    scope: Scope
    receive: Receive
    send: Send

    @property
    def path(self) -> str:
        raw = self.scope.get("raw_path") or self.scope["path"].encode()
        return str(raw.decode("latin-1"))

    @property
    def query(self) -> str:
        return str(self.scope["query_string"].decode("latin-1"))

    @property
    def fields(self) -> headers.Raw:
        return self.scope["headers"]  # type: ignore[no-any-return]  # ASGI's own shape

    def field(self, name: bytes) -> str | None:
        return next((value.decode("latin-1") for key, value in self.fields if key == name), None)

    async def chunks(self) -> AsyncIterator[bytes]:
        while True:
            message: Message = await self.receive()
            if message["type"] == "http.disconnect":
                raise ClientGone
            if chunk := message.get("body", b""):
                yield chunk
            if not message.get("more_body", False):
                return


class Gateway:
    def __init__(
        self,
        settings: Settings,
        upstream: Upstream,
        planner: Planner,
        account: Account,
        sightings: Sightings,
        secret: bytes,
        clock: Clock,
        monotonic: Clock,
        tracing: Tracing | None = None,
    ) -> None:
        self._settings = settings
        self._upstream = upstream
        self._planner = planner
        self._account = account
        self._sightings = sightings
        self._secret = secret  # the store's: a tenant's digest is worth nothing beside another store
        self._clock = clock
        self._monotonic = monotonic
        self._tracing = tracing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        assert scope["type"] == "http"
        exchange = Exchange(scope, receive, send)
        trail = Trail(scope["method"], exchange.path, self._monotonic())
        trail.trace = self._tracing.begin(exchange.fields) if self._tracing else None
        dialect = claim(scope["method"], scope["path"])
        try:
            await self._answer(exchange, dialect, trail)
        except ClientGone:
            trail.error = "client-gone"
        except GatewayError as error:
            self._account.ending(trail)
            await refuse(send, error, dialect or DIALECTS[0], trail, self._clock())
        finally:
            self._account.close_trail(trail)
            self._sightings.saw(trail)

    async def _answer(self, exchange: Exchange, dialect: Dialect | None, trail: Trail) -> None:
        if dialect is None:
            trail.bypass = Bypass.NO_DIALECT
            return await self._forward(exchange, _streamed(exchange), trail)
        trail.dialect = dialect.name
        wishes = headers.wishes(exchange.fields)
        body: Body
        if why := headers.bypass(exchange.fields):
            body, trail.bypass = _streamed(exchange), why
        else:
            with trail.stage("receive", self._monotonic):
                body = await _read(exchange, self._settings.body_bytes_max)
            trail.bypass = None if isinstance(body, bytes) else Bypass.BODY_TOO_LARGE
        if not isinstance(body, bytes):
            refuse_to_forward(wishes, trail)
            return await self._forward(exchange, body, trail)
        call = self._call(exchange, body)
        trail.tenant = call.tenant[:TENANT_DIGITS]
        match await self._planner.plan(dialect, call, wishes, trail):
            case Serve(rendered) as serving:
                self._account.ending(trail)
                name = exchange.field(b"x-request-id") or secrets.token_hex(12)
                with trail.stage("serve", self._monotonic):
                    await serve(exchange.send, rendered, trail, name, self._clock())
                await self._planner.served(serving)
            case Forward() as forward:
                await self._forward(exchange, forward.body or body, trail, forward)
        return None

    def _call(self, exchange: Exchange, body: bytes) -> Call:
        tenant = hmac.new(self._secret, headers.credential(exchange.fields), hashlib.sha256).hexdigest()
        partitions = headers.partitions(exchange.fields, exchange.query)
        path = self._upstream.target(exchange.path)
        fields = headers.readable(exchange.fields)
        return Call(path, exchange.query, fields, body, tenant, partitions, self._settings.upstream_stateless)

    async def _forward(self, exchange: Exchange, body: Body, trail: Trail, forward: Forward = _PASSING) -> None:
        """Relay while the client stays; meanwhile prepare, and afterwards keep, what may be kept."""
        reading = forward.reading
        if forward.storing is not None and reading is None:
            trail.unstored = Unstored.NO_STORE
        with ExitStack() as landing:
            async with anyio.create_task_group() as tasks:
                if reading is not None:
                    tasks.start_soon(self._planner.prepare, forward)
                uploaded = anyio.Event()
                relay = functools.partial(self._relay, exchange, _announced(body, uploaded), trail, reading, landing)
                outcome = await _while_connected(exchange, uploaded, relay)
                if reading is not None and isinstance(outcome, Answered):
                    await self._planner.finish(forward, outcome, trail)
                tasks.cancel_scope.cancel()
        match outcome:
            case Answered(complete=False):
                trail.error = "upstream-cut-short"
            case Answered():
                pass
            case Exception():
                if reading is not None and reading.keep:
                    trail.unstored = Unstored.CUT_SHORT
                raise outcome
            case _:
                assert_never(outcome)

    async def _relay(
        self, exchange: Exchange, body: Body, trail: Trail, reading: Storing | None, landing: ExitStack
    ) -> Answered:
        fields = [*headers.to_upstream(exchange.fields, readable=reading is not None), headers.VIA]
        editor: Editor | None = None
        if asking := self._asking_usage(reading, body, exchange):
            body, editor = asking
        if isinstance(body, bytes):
            fields = headers.fitting(fields, len(body))
        sent = fields if trail.trace is None else trail.trace.upstream(fields)
        request = self._upstream.request(exchange.scope["method"], exchange.path, exchange.query, sent, body)
        under_way = False
        begun_s = self._monotonic()

        def own_headers(status: int) -> headers.Raw:
            trail.passed("upstream_first_byte", begun_s, self._monotonic())
            trail.status, now_s = status, self._clock()
            if reading is not None:
                reading.answered_s = now_s
            return cache_headers(trail, now_s)

        def ending() -> None:
            # The client may ask again the moment it has the last byte: from here on, that question waits
            # for this answer to be stored.
            nonlocal under_way
            if under_way:
                return
            under_way = True
            self._account.ending(trail)
            if reading is not None and reading.keep:
                landing.enter_context(self._planner.landings.landing(reading.asked.partition))

        tap = Tap(self._settings.reply_bytes_max if reading is not None else 0)
        answered = await self._upstream.relay(request, exchange.send, own_headers, tap, ending, editor)
        trail.passed("upstream", begun_s, begun_s + answered.seconds)
        return answered

    def _asking_usage(self, reading: Storing | None, body: Body, exchange: Exchange) -> tuple[bytes, Editor] | None:
        """The request, asking for the token counts of a stream whose client did not: the operator decides."""
        if reading is None or not isinstance(body, bytes) or self._settings.stream_usage != "always":
            return None
        asked = reading.question.include_usage or not reading.question.stream
        sealed = headers.seals_body(headers.readable(exchange.fields))
        return None if asked or sealed else reading.dialect.asking_usage(body)


async def _while_connected(
    exchange: Exchange, uploaded: anyio.Event, relay: Callable[[], Awaitable[Answered]]
) -> Answered | Exception:
    """The relay's outcome; it is cancelled, and the upstream's work with it, when the client leaves."""
    outcome: Answered | Exception = ClientGone()

    async def watch(scope: anyio.CancelScope) -> None:
        await uploaded.wait()  # until then the request's body is what `receive` gives
        while (await exchange.receive())["type"] != "http.disconnect":
            pass
        await anyio.sleep(_PARTING_S)
        scope.cancel()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(watch, tasks.cancel_scope)
        try:
            outcome = await relay()
        except Exception as error:  # as a value: a task group would wrap it
            outcome = error
        tasks.cancel_scope.cancel()
    return outcome


def _announced(body: Body, uploaded: anyio.Event) -> Body:
    """The body; `uploaded` is set when all of it has been taken from the client."""
    if body is None or isinstance(body, bytes):
        uploaded.set()
        return body

    async def chunks() -> AsyncIterator[bytes]:
        async for chunk in body:
            yield chunk
        uploaded.set()

    return chunks()


def _streamed(exchange: Exchange) -> Body:
    """The body as it comes; None where HTTP says that there is none."""
    framed = exchange.field(b"transfer-encoding") or exchange.field(b"content-length") or "0"
    return None if framed == "0" else exchange.chunks()


async def _read(exchange: Exchange, bytes_max: int) -> bytes | AsyncIterator[bytes]:
    """The whole body; or, if it is larger than the limit, all of it as a stream."""
    chunks = exchange.chunks()
    taken: list[bytes] = []
    size = 0
    async for chunk in chunks:
        taken.append(chunk)
        size += len(chunk)
        if size > bytes_max:
            return _chained(taken, chunks)
    return b"".join(taken)


async def _chained(taken: list[bytes], rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    for chunk in taken:
        yield chunk
    async for chunk in rest:
        yield chunk
