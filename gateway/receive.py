"""The ASGI end of the gateway: one request in, one reply out, whatever happens in between.

Reads a body only if a dialect claims the path, and never more of it than the limit: everything else
streams through. Credentials are digested here and go no further, except to the upstream they are for.
"""

import secrets
from typing import assert_never

from starlette.types import Receive, Scope, Send

from cache.stores.base import Clock
from gateway import headers
from gateway.account import Account, Trail
from gateway.acting import Actors, Asking
from gateway.admission import Admission
from gateway.changing import Changes
from gateway.config import Settings
from gateway.dialects import DIALECTS, claim
from gateway.dialects.base import Dialect
from gateway.endpoint import Body
from gateway.errors import GatewayError
from gateway.exchange import ClientGone, Exchange, raw_path, read, streamed
from gateway.follow import Following
from gateway.forward import Superseded, Upstream
from gateway.modelchange import change_by
from gateway.plan import Follow, Forward, Planner, Serve, refuse_to_forward
from gateway.question import Bypass, Call
from gateway.relay import Relay
from gateway.serve import refuse, serve
from gateway.sightings import Sightings
from gateway.tally import TENANT_DIGITS
from gateway.tenants import Tenants
from gateway.tracing import Tracing


class Gateway:
    def __init__(
        self,
        settings: Settings,
        upstream: Upstream,
        planner: Planner,
        relay: Relay,
        following: Following,
        changes: Changes,
        account: Account,
        actors: Actors,
        sightings: Sightings | None,
        tenants: Tenants,
        clock: Clock,
        monotonic: Clock,
        admission: Admission,
        tracing: Tracing | None = None,
    ) -> None:
        self._settings = settings
        self._upstream = upstream
        self._planner = planner
        self._relay = relay
        self._following = following
        self._changes = changes
        self._account = account
        self._actors = actors
        self._sightings = sightings
        self._tenants = tenants
        self._clock = clock
        self._monotonic = monotonic
        self._admission = admission
        self._tracing = tracing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        assert scope["type"] == "http"
        trail = Trail(scope["method"], raw_path(scope), self._monotonic())
        trail.trace = self._tracing.begin(scope["headers"]) if self._tracing else None
        dialect = claim(scope["method"], scope["path"])
        try:
            with self._admission.entered() as hold:
                await self._answer(Exchange(scope, receive, send, hold), dialect, trail)
        except ClientGone:
            trail.error = "client-gone"
        except GatewayError as error:
            self._account.ending(trail)
            await refuse(send, error, dialect or DIALECTS[0], trail, self._clock())
        finally:
            self._account.close_trail(trail)
            if self._sightings is not None:
                self._sightings.saw(trail)

    async def _answer(self, exchange: Exchange, dialect: Dialect | None, trail: Trail) -> None:
        if dialect is None:
            trail.bypass = Bypass.NO_DIALECT
            if change := change_by(exchange.scope["method"], exchange.scope["path"]):
                return await self._changes.forward(exchange, change, trail)
            return await self._relay.forward(exchange, streamed(exchange), trail)
        trail.dialect = dialect.name
        wishes = headers.wishes(exchange.fields)
        name = exchange.field(b"x-request-id") or secrets.token_hex(12)
        body: Body
        if why := headers.bypass(exchange.fields):
            body, trail.bypass = streamed(exchange), why
        else:
            with trail.stage("receive", self._monotonic):
                body = await read(exchange, self._settings.body_bytes_max)
            trail.bypass = None if isinstance(body, bytes) else Bypass.BODY_TOO_LARGE
        if not isinstance(body, bytes):
            refuse_to_forward(wishes, trail)
            acting = await self._actors.facing(dialect, trail, Asking(name, keep=not wishes.no_store))
            return await self._relay.forward(exchange, body, trail, acting=acting)
        call = self._call(exchange, body, trail)
        plan = await self._planner.plan(dialect, call, wishes, trail)
        question = plan.storing.question if plan.storing is not None else None
        asking = Asking(name, not wishes.no_store, body, question.prompt if question else None)
        match plan:
            case Serve() as serving:
                await self._serve(exchange, dialect, serving, asking, trail)
            case Follow() as follow:
                if not await self._following.follow(exchange, follow, asking, trail):
                    await self._forward(exchange, dialect, follow.forward, body, asking, trail)
            case Forward() as forward:
                await self._forward(exchange, dialect, forward, body, asking, trail)
            case _:
                assert_never(plan)
        return None

    async def _forward(
        self, exchange: Exchange, dialect: Dialect, forward: Forward, body: bytes, asking: Asking, trail: Trail
    ) -> None:
        acting = await self._actors.facing(dialect, trail, asking)
        try:
            await self._relay.forward(exchange, forward.body or body, trail, forward, acting)
        except Superseded:
            assert forward.stand_in is not None
            assert forward.stand_in.answer is not None
            await self._serve(exchange, dialect, forward.stand_in.answer, asking, trail)

    async def _serve(self, exchange: Exchange, dialect: Dialect, serving: Serve, asking: Asking, trail: Trail) -> None:
        rendered = serving.rendered
        acting = await self._actors.facing(dialect, trail, asking)
        if acting is not None:
            with trail.stage("rules", self._monotonic):
                rendered = self._actors.served(acting, rendered, serving.storing.question.stream, trail)
        self._account.ending(trail)
        with trail.stage("serve", self._monotonic):
            await serve(exchange.send, rendered, trail, asking.request, self._clock())
        if acting is not None:
            self._actors.delivered(acting, trail)
        await self._planner.served(serving)

    def _call(self, exchange: Exchange, body: bytes, trail: Trail) -> Call:
        caller = self._tenants.caller(headers.credential(exchange.fields, exchange.query))
        trail.tenant = caller.own[:TENANT_DIGITS]
        partitions = headers.partitions(exchange.fields, exchange.query)
        path, query = self._upstream.target(exchange.path), headers.without_keys(exchange.query)
        fields = headers.readable(exchange.fields)
        return Call(path, query, fields, body, caller.scope, partitions, self._settings.upstream_stateless, caller)
