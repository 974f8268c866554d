"""The gateway's own front door, from within: a line of a batch is asked as a client's request is, without a socket."""

import logging
from collections.abc import Sequence
from typing import Final

import httpx
from starlette.types import ASGIApp, Message, Receive, Scope, Send

log = logging.getLogger("lookalike")

_BASE: Final = "http://lookalike"  # Host is not sent on


def client(app: ASGIApp, fields: Sequence[tuple[bytes, bytes]]) -> httpx.AsyncClient:
    """Asks `app`, with these header fields on every request."""
    own = [(b"content-type", b"application/json"), (b"accept", b"application/json")]
    return httpx.AsyncClient(transport=httpx.ASGITransport(_Whole(app)), base_url=_BASE, headers=[*own, *fields])


class _Whole:
    """A reply that does not come to its end is an error of the connection, as it would be on a socket."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        ended = False

        async def watched(message: Message) -> None:
            nonlocal ended
            ended = message["type"] == "http.response.body" and not message.get("more_body", False)
            await send(message)

        try:
            await self._app(scope, receive, watched)
        except Exception as error:
            log.exception("a line of a batch could not be asked")
            raise httpx.RemoteProtocolError("the gateway failed") from error
        if not ended:
            raise httpx.RemoteProtocolError("the reply broke off")
