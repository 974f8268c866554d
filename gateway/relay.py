"""A request on to the upstream while its client stays: what is prepared meanwhile, and what is kept afterwards."""

import functools
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from typing import assert_never

import anyio

from cache.stores.base import Clock
from gateway import headers
from gateway.acceptance import REFUSALS, Acceptances
from gateway.account import Account, Trail
from gateway.acting import Acting, Actors
from gateway.capture import Answered, Tap
from gateway.config import Settings
from gateway.delivery import Alterations
from gateway.dialects.framing import Editor
from gateway.endpoint import Body, Outgoing
from gateway.exchange import ClientGone, Exchange, announced
from gateway.forward import Superseded, Upstream, nobody
from gateway.keep import Keeper, Storing
from gateway.plan import Forward
from gateway.question import Unstored
from gateway.serve import cache_headers
from gateway.tenants import Tenants

# A client that closes on an answer's own end mark may be gone before HTTP's: such an answer is whole.
_PARTING_S = 0.05
_PASSING = Forward()


class Relay:
    def __init__(
        self,
        settings: Settings,
        upstream: Upstream,
        keeper: Keeper,
        account: Account,
        actors: Actors,
        tenants: Tenants,
        acceptances: Acceptances,
        clock: Clock,
        monotonic: Clock,
    ) -> None:
        self._settings = settings
        self._upstream = upstream
        self._keeper = keeper
        self._account = account
        self._actors = actors
        self._tenants = tenants
        self._acceptances = acceptances
        self._clock = clock
        self._monotonic = monotonic

    async def forward(
        self,
        exchange: Exchange,
        body: Body,
        trail: Trail,
        forward: Forward = _PASSING,
        acting: Acting | None = None,
    ) -> None:
        """Relay while the client stays; meanwhile prepare, and afterwards keep, what may be kept. `acting`: the rules
        that the answer faces."""
        reading = forward.reading
        if reading is not None and acting is not None:
            reading.refuses = acting.refuses
        if forward.storing is not None and reading is None:
            trail.unstored = Unstored.NO_STORE
        with ExitStack() as landing:
            async with anyio.create_task_group() as tasks:
                if reading is not None:
                    tasks.start_soon(self._keeper.prepare, reading)
                uploaded = anyio.Event()
                sending = announced(body, uploaded)
                relay = functools.partial(self._relay, exchange, sending, trail, forward, acting, landing)
                outcome = await _while_connected(exchange, uploaded, relay)
                if reading is not None and isinstance(outcome, Answered):
                    await self._keeper.finish(reading, outcome, trail)
                tasks.cancel_scope.cancel()
        match outcome:
            case Answered(complete=False):
                trail.error = "upstream-cut-short"
            case Answered():
                if acting is not None:
                    self._actors.delivered(acting, trail)
            case Exception():
                kept_from = reading is not None and reading.keep and not isinstance(outcome, Superseded)
                if kept_from:
                    trail.unstored = Unstored.CUT_SHORT
                raise outcome
            case _:
                assert_never(outcome)

    async def _relay(
        self,
        exchange: Exchange,
        body: Body,
        trail: Trail,
        forward: Forward,
        acting: Acting | None,
        landing: ExitStack,
    ) -> Answered:
        reading = forward.reading
        fields = [*headers.to_upstream(exchange.fields, readable=reading is not None), headers.VIA]
        if acting is not None:
            fields = headers.uncoded(fields)
        hiding: Editor | None = None
        if asking := self._asking_usage(reading, body, exchange):
            body, hiding = asking
        if isinstance(body, bytes):
            fields = headers.fitting(fields, len(body))
        sent = fields if trail.trace is None else trail.trace.upstream(fields)
        outgoing = Outgoing(exchange.scope["method"], exchange.path, exchange.query, sent, body)
        under_way = False
        begun_s = self._monotonic()

        def own_headers(status: int, second: bool) -> headers.Raw:
            trail.upstream = "fallback" if second else None
            trail.passed("upstream_first_byte", begun_s, self._monotonic())
            trail.status, now_s = status, self._clock()
            if status in REFUSALS and not second:  # what the fallback says is nothing about the first upstream's keys
                self._acceptances.refused(self._tenants.caller(headers.credential(exchange.fields, exchange.query)))
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
                landing.enter_context(self._keeper.landings.landing(reading.asked.partition))

        def alter(status: int, sent: headers.Raw) -> Alterations:
            editors = [hiding] if hiding is not None and headers.is_plain_stream(sent) else []
            return Alterations(sent, editors) if acting is None else acting.altered(status, sent, editors)

        tap = Tap(self._settings.reply_bytes_max if reading is not None else 0, exchange.hold.take)
        instead = nobody if forward.stand_in is None else forward.stand_in.stands_in
        answered = await self._upstream.relay(outgoing, exchange.send, own_headers, tap, ending, alter, instead)
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
