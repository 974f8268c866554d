"""A request that may change a model at the upstream: passed on like any other, its old answers out of the way."""

from dataclasses import replace

import anyio
from starlette.types import Message

from cache.errors import CacheFault
from gateway.account import Trail
from gateway.epochs import Epochs, log
from gateway.errors import UpstreamError
from gateway.exchange import Exchange, announced, read, streamed
from gateway.forward import Body
from gateway.modelchange import BODY_BYTES_MAX, Change, began
from gateway.relay import Relay


class Changes:
    def __init__(self, relay: Relay, epochs: Epochs) -> None:
        self._relay = relay
        self._epochs = epochs

    async def forward(self, exchange: Exchange, change: Change, trail: Trail) -> None:
        """Raises as `Relay.forward` does. The client has its reply before the stored answers are gone; until they
        are, none of them is served."""
        # Whole before anything begins: a caller who sends it slowly holds up no question.
        body: Body = None if streamed(exchange) is None else await read(exchange, BODY_BYTES_MAX)
        model = change.model(body if isinstance(body, bytes) else None)
        changed, seen = True, False
        uploaded = anyio.Event()
        try:
            await self._epochs.begin(model)
            await self._relay.forward(_staying(exchange), announced(body, uploaded), trail)
            changed = trail.status is None or began(trail.status)
            seen = trail.error is None and not change.returns_early
        except UpstreamError as error:
            changed = not error.nothing_sent
            raise
        finally:
            with anyio.CancelScope(shield=True):
                await self._end(model, changed and uploaded.is_set(), change.path, seen)

    async def _end(self, model: str, changed: bool, why: str, seen: bool) -> None:
        try:
            await self._epochs.end(model, changed, why, seen)
        except CacheFault as fault:
            log.error("answers of a model that was changed could not be deleted yet: %s", fault)
        except Exception:  # ours, and never the client's trouble
            log.exception("answers of a model that was changed could not be deleted yet")


def _staying(exchange: Exchange) -> Exchange:
    """A client that is not seen to leave before the upstream's reply began: its status says whether anything did. Else
    whoever hung up in time could empty the cache with requests that the upstream refuses."""
    begun = anyio.Event()

    async def receive() -> Message:
        message = await exchange.receive()
        if message["type"] == "http.disconnect":
            await begun.wait()
        return message

    async def send(message: Message) -> None:
        begun.set()
        await exchange.send(message)

    return replace(exchange, receive=receive, send=send)
