"""A request on to the upstream, while its client or a follower stays; what is prepared meanwhile, and kept later."""

import functools
from contextlib import closing
from typing import assert_never

import anyio
import anyio.lowlevel
from starlette.types import Send

from cache.flight import Flights
from cache.stores.base import Clock
from gateway import headers
from gateway.acceptance import REFUSALS, Acceptances
from gateway.account import Account, Trail
from gateway.acting import Acting, Actors
from gateway.capture import Answered, Tap
from gateway.config import Settings
from gateway.crowd import Crowd, Outbox, Tee
from gateway.delivery import Alterations
from gateway.dialects.framing import Editor
from gateway.endpoint import Body, Outgoing
from gateway.exchange import Exchange, announced, while_connected
from gateway.forward import Superseded, Upstream, nobody
from gateway.keep import Keeper, Storing
from gateway.plan import Forward
from gateway.question import Unstored
from gateway.serve import cache_headers
from gateway.tenants import Tenants

_PASSING = Forward()


class Relay:
    def __init__(
        self,
        settings: Settings,
        upstream: Upstream,
        keeper: Keeper,
        flights: Flights[Crowd],
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
        self._flights = flights
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
        """Relay while the client stays, or whoever follows; what may be kept is kept. `acting`: the rules that the
        answer faces."""
        reading = forward.reading
        if reading is not None and acting is not None:
            reading.refuses = acting.refuses
        if forward.storing is not None and reading is None:
            trail.unstored = Unstored.NO_STORE
        if reading is None:
            outcome = await self._passed(exchange, body, trail, forward, acting)
        else:
            outcome = await self._led(exchange, body, trail, forward, acting, reading)
        match outcome:
            case Answered(complete=False):
                trail.error = "upstream-cut-short"
            case Answered():
                if acting is not None and trail.error is None:
                    self._actors.delivered(acting, trail)
            case Exception():
                kept_from = reading is not None and reading.keep and not isinstance(outcome, Superseded)
                if kept_from:
                    trail.unstored = Unstored.CUT_SHORT
                raise outcome
            case _:
                assert_never(outcome)

    async def _passed(
        self, exchange: Exchange, body: Body, trail: Trail, forward: Forward, acting: Acting | None
    ) -> Answered | Exception:
        """Relay and read nothing."""
        uploaded = anyio.Event()
        request = exchange, announced(body, uploaded), trail, forward, acting
        relay = functools.partial(self._relay, *request, exchange.send, Tap(0))
        return await while_connected(exchange, uploaded, relay, anyio.lowlevel.checkpoint)

    async def _led(
        self,
        exchange: Exchange,
        body: Body,
        trail: Trail,
        forward: Forward,
        acting: Acting | None,
        reading: Storing,
    ) -> Answered | Exception:
        """Relay for this client and all that follow; meanwhile prepare, and afterwards keep, the answer."""
        uploaded, most, crowd = anyio.Event(), self._settings.reply_bytes_max, reading.crowd
        outbox, tap = Outbox(exchange.send, crowd, most), Tee(most, crowd, exchange.hold.take)
        request = exchange, announced(body, uploaded), trail, forward, acting
        relay = functools.partial(self._relay, *request, outbox.send, tap)

        async def left() -> None:
            trail.error = "client-gone"
            await crowd.deserted()

        # Nothing was waited for since plan.py looked at what is in flight: no request like this one slipped by.
        with self._flights.flying(crowd, self._monotonic), closing(crowd):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._keeper.prepare, reading)
                tasks.start_soon(outbox.run)
                outcome = await while_connected(exchange, uploaded, relay, left)
                if isinstance(outcome, Answered):
                    await self._keeper.finish(reading, outcome, trail)
                    await outbox.drained()
                crowd.close()
                tasks.cancel_scope.cancel()
        return outcome

    async def _relay(
        self,
        exchange: Exchange,
        body: Body,
        trail: Trail,
        forward: Forward,
        acting: Acting | None,
        send: Send,
        tap: Tap,
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
                if second and not self._settings.upstream_fallback_same:
                    reading.crowd.unshared()
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
                self._flights.landing(reading.crowd)

        def alter(status: int, sent: headers.Raw) -> Alterations:
            if reading is not None:
                reading.crowd.head(status, sent)
            editors = [hiding] if hiding is not None and headers.is_plain_stream(sent) else []
            return Alterations(sent, editors) if acting is None else acting.altered(status, sent, editors)

        instead = nobody if forward.stand_in is None else forward.stand_in.stands_in
        answered = await self._upstream.relay(outgoing, send, own_headers, tap, ending, alter, instead)
        trail.passed("upstream", begun_s, begun_s + answered.seconds)
        return answered

    def _asking_usage(self, reading: Storing | None, body: Body, exchange: Exchange) -> tuple[bytes, Editor] | None:
        """The request, asking for the token counts of a stream whose client did not: the operator decides."""
        if reading is None or not isinstance(body, bytes) or self._settings.stream_usage != "always":
            return None
        asked = reading.question.include_usage or not reading.question.stream
        sealed = headers.seals_body(headers.readable(exchange.fields))
        return None if asked or sealed else reading.dialect.asking_usage(body)
