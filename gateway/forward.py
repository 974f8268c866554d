"""A request to the upstream and its reply back, byte for byte, nothing buffered, both ways.

What breaks on one side breaks on the other: a client that leaves cancels the upstream's work, a reply
that the upstream cuts short is cut short to the client (never ended cleanly, for SDKs take a clean end
for the whole answer). Which upstream is asked is decided here, too. It has never heard of a cache.
"""

from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import httpx
from starlette.types import Send

from gateway import headers
from gateway.capture import Answered, Tap
from gateway.config import Settings
from gateway.delivery import Alter, Delivery, untouched
from gateway.endpoint import Body, Endpoint, Outgoing, Raw
from gateway.errors import UpstreamError

__all__ = ["Body", "Instead", "Outgoing", "Superseded", "Upstream"]

# The second upstream may be asked in the place of a first that answers so.
_ELSEWHERE = frozenset((429, 502, 503, 504))
# RFC 5861, section 4: an older answer may stand in for these.
_STANDS_IN = frozenset((500, 502, 503, 504))

# Asked when the upstream failed and nothing has been passed on, with the trouble in one word: whether somebody else
# answers the client.
Instead = Callable[[str], Awaitable[bool]]


class Superseded(Exception):
    """The upstream failed, and the client is answered by somebody else."""


async def nobody(trouble: str) -> bool:
    return False


class Upstream:
    """The endpoint that serves the model, and the second one where there is one."""

    def __init__(
        self, settings: Settings, monotonic: Callable[[], float], transport: httpx.AsyncBaseTransport | None = None
    ) -> None:
        """`transport`: something else in the place of connections."""
        self._monotonic = monotonic
        # The environment names proxies for the machine's own traffic; this is the clients'. Its certificates count.
        trusted = httpx.create_ssl_context(trust_env=True) if transport is None else None
        self._first = Endpoint(settings.upstream, settings, trusted, monotonic, transport=transport)
        self._fallback: Endpoint | None = None
        if settings.upstream_fallback is not None and trusted is not None:
            key = settings.upstream_fallback_key
            secret = None if key is None else key.get_secret_value()
            self._fallback = Endpoint(settings.upstream_fallback, settings, trusted, monotonic, secret)
        self._on_errors = settings.upstream_fallback_on == "errors"
        self._same = settings.upstream_fallback_same

    async def close(self) -> None:
        await self._first.close()
        if self._fallback is not None:
            await self._fallback.close()

    def target(self, path: str) -> str:
        """The path that the upstream is asked for a client's path."""
        return self._first.target(path)

    def report(self) -> dict[str, Any]:
        """Each upstream's breaker."""
        return {"first": self._first.report()} | ({"fallback": self._fallback.report()} if self._fallback else {})

    async def relay(
        self,
        outgoing: Outgoing,
        send: Send,
        own_headers: Callable[[int, bool], Raw],
        tap: Tap,
        ending: Callable[[], None],
        alter: Alter = untouched,
        instead: Instead = nobody,
    ) -> Answered:
        """The reply, passed on as it comes, but for what `alter` does to it. `own_headers` is given its status, and
        whether it is the second upstream's. `ending` is called, once or more, before the client can know its end. As
        long as nothing has been passed on, raises UpstreamError, or Superseded if `instead` says so."""
        begun = self._monotonic()
        try:
            response, endpoint = await self._answered(outgoing)
        except UpstreamError as error:
            if await instead(error.code):
                raise Superseded from error
            raise
        fields, status = response.headers.raw, response.status_code
        client = Delivery(send, self._monotonic, alter)
        try:
            if not 200 <= status <= 599:  # nothing that a server may send on
                raise UpstreamError(f"the upstream answered with the status {status}, which HTTP does not have")
            if status in _STANDS_IN and await instead(f"status-{status}"):
                raise Superseded
            second = endpoint is self._fallback
            await client.begin(status, [*headers.to_client(fields, status), *own_headers(status, second)])
            complete = await _pass_on(response, client, tap, ending)
        finally:
            await _close(response)
        # A client that reads slowly is not the upstream's doing.
        seconds = self._monotonic() - begun - client.seconds
        ending()
        await (client.end() if complete else client.break_off())
        elsewhere = second and not self._same
        return Answered(status, fields, tap.taken(), complete, tap.too_large, seconds, second, elsewhere)

    async def _answered(self, outgoing: Outgoing) -> tuple[httpx.Response, Endpoint]:
        """The head of the first's reply; or of the second's, where the first was not reached at all, or is in trouble
        and the settings say so. If both fail, what the first said counts."""
        if self._fallback is None:
            return await self._first.send(outgoing), self._first
        try:
            response = await self._first.send(outgoing)
        except UpstreamError as error:
            if not error.nothing_sent:
                raise
            try:
                return await self._fallback.send(outgoing), self._fallback
            except UpstreamError as second:
                raise error from second
        if not (self._on_errors and response.status_code in _ELSEWHERE and outgoing.is_whole):
            return response, self._first
        return await self._or_elsewhere(response, self._fallback, outgoing)

    async def _or_elsewhere(
        self, response: httpx.Response, fallback: Endpoint, outgoing: Outgoing
    ) -> tuple[httpx.Response, Endpoint]:
        """The second's reply, unless it is in trouble as well."""
        try:
            other = await fallback.send(outgoing)
        except UpstreamError:
            return response, self._first
        except BaseException:
            await _close(response)
            raise
        if other.status_code in _ELSEWHERE:
            await _close(other)
            return response, self._first
        await _close(response)
        return other, fallback


async def _close(response: httpx.Response) -> None:
    with anyio.CancelScope(shield=True):
        await response.aclose()


async def _pass_on(response: httpx.Response, client: Delivery, tap: Tap, ending: Callable[[], None]) -> bool:
    """Whether the reply came to its proper end."""
    length = response.headers.get("content-length", "")
    left = int(length) if length.isdigit() else None
    try:
        async for chunk in response.aiter_raw():
            tap.feed(chunk)
            if left is not None:
                left -= len(chunk)
                if left <= 0:
                    ending()
            await client.take(chunk)
    except (httpx.TransportError, httpx.StreamError):
        return False
    return True
