"""The ASGI end of the gateway: one request in, one reply out, whatever happens in between.

Reads a body only if a dialect claims the path, and never more of it than the limit: everything else
streams through. Credentials are digested here and go no further, except to the upstream they are for.
"""

import hashlib
import hmac
import secrets

from starlette.types import Receive, Scope, Send

from cache.stores.base import Clock
from gateway import headers
from gateway.account import Account, Trail
from gateway.config import Settings
from gateway.dialects import DIALECTS, claim
from gateway.dialects.base import Dialect
from gateway.errors import GatewayError
from gateway.exchange import ClientGone, Exchange, read, streamed
from gateway.follow import Following
from gateway.forward import Body, Upstream
from gateway.plan import Follow, Forward, Planner, Serve, refuse_to_forward
from gateway.question import Bypass, Call
from gateway.relay import Relay
from gateway.serve import refuse, serve
from gateway.sightings import Sightings
from gateway.tally import TENANT_DIGITS
from gateway.tracing import Tracing


class Gateway:
    def __init__(
        self,
        settings: Settings,
        upstream: Upstream,
        planner: Planner,
        relay: Relay,
        following: Following,
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
        self._relay = relay
        self._following = following
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
            return await self._relay.forward(exchange, streamed(exchange), trail)
        trail.dialect = dialect.name
        wishes = headers.wishes(exchange.fields)
        body: Body
        if why := headers.bypass(exchange.fields):
            body, trail.bypass = streamed(exchange), why
        else:
            with trail.stage("receive", self._monotonic):
                body = await read(exchange, self._settings.body_bytes_max)
            trail.bypass = None if isinstance(body, bytes) else Bypass.BODY_TOO_LARGE
        if not isinstance(body, bytes):
            refuse_to_forward(wishes, trail)
            return await self._relay.forward(exchange, body, trail)
        call = self._call(exchange, body)
        trail.tenant = call.tenant[:TENANT_DIGITS]
        match await self._planner.plan(dialect, call, wishes, trail):
            case Serve(rendered) as serving:
                self._account.ending(trail)
                name = exchange.field(b"x-request-id") or secrets.token_hex(12)
                with trail.stage("serve", self._monotonic):
                    await serve(exchange.send, rendered, trail, name, self._clock())
                await self._planner.served(serving)
            case Follow() as follow:
                if not await self._following.follow(exchange, follow, trail):
                    await self._relay.forward(exchange, follow.forward.body or body, trail, follow.forward)
            case Forward() as forward:
                await self._relay.forward(exchange, forward.body or body, trail, forward)
        return None

    def _call(self, exchange: Exchange, body: bytes) -> Call:
        tenant = hmac.new(self._secret, headers.credential(exchange.fields), hashlib.sha256).hexdigest()
        partitions = headers.partitions(exchange.fields, exchange.query)
        path = self._upstream.target(exchange.path)
        fields = headers.readable(exchange.fields)
        return Call(path, exchange.query, fields, body, tenant, partitions, self._settings.upstream_stateless)
