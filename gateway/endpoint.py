"""One upstream and the connections to it: a request out, the head of its reply back. The only file that speaks httpx
to an upstream, and the one place that says what counts against it (breaker.py).
"""

import ssl
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from http.cookiejar import DefaultCookiePolicy
from typing import Any, assert_never

import httpx

from gateway import headers
from gateway.breaker import Breaker, Closed, Ending, HalfOpen, Open, Refused, Terms, Ticket
from gateway.config import Settings
from gateway.errors import (
    UpstreamBusy,
    UpstreamConnectTimeout,
    UpstreamDown,
    UpstreamError,
    UpstreamTimeout,
    UpstreamUnreachable,
)
from gateway.routing import Base

Raw = Sequence[tuple[bytes, bytes]]
Body = bytes | AsyncIterator[bytes] | None

# Servers like vLLM's close an idle connection after 5 s: one that is about to be closed must not be used again.
_KEEP_ALIVE_S = 3.0
# What a proxy says in the place of a server that is down or overloaded.
_DOWN = frozenset((502, 503, 504))


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A request for whichever upstream gets it. `path` and `query` are still percent-encoded."""

    method: str
    path: str
    query: str
    fields: Raw
    body: Body

    @property
    def is_whole(self) -> bool:
        """Whether it can be sent again once some of it was taken."""
        return self.body is None or isinstance(self.body, bytes)


class Endpoint:
    """A server of the models, as one base URL names it."""

    def __init__(
        self,
        url: str,
        settings: Settings,
        trusted: ssl.SSLContext | None,
        monotonic: Callable[[], float],
        key: str | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        """`transport`: something else in the place of connections."""
        self._url = httpx.URL(url)
        self._base = Base.of(self._url.raw_path.decode("ascii").partition("?")[0])
        self._monotonic = monotonic
        self._key = key
        self._counts = settings.breaker
        self._breaker = Breaker(Terms(settings.breaker_failures, settings.breaker_open_s, settings.breaker_probes))
        timeout = httpx.Timeout(settings.read_timeout_s, connect=settings.connect_timeout_s)
        transport = transport or _connections(settings, trusted)
        self._client = httpx.AsyncClient(timeout=timeout, transport=transport, trust_env=False)
        # One client's cookies must never travel with another's request.
        self._client.cookies.jar.set_policy(DefaultCookiePolicy(allowed_domains=[]))

    async def close(self) -> None:
        await self._client.aclose()

    def target(self, path: str) -> str:
        """The path that this upstream is asked for a client's path."""
        return self._base.target(path)

    async def send(self, outgoing: Outgoing) -> httpx.Response:
        """The reply, its body still to come. Raises UpstreamError."""
        attempt = self._attempt()
        try:
            with _in_our_words(self._url):
                response = await self._client.send(self._request(outgoing, attempt), stream=True)
        except UpstreamBusy:
            attempt.ended(Ending.UNKNOWN)
            raise
        except UpstreamError as error:
            counts = error.nothing_sent or self._counts == "errors"
            attempt.ended(Ending.BAD if counts else Ending.UNKNOWN)
            raise
        except BaseException:
            attempt.ended(Ending.UNKNOWN)
            raise
        attempt.ended(Ending.BAD if self._counts == "errors" and response.status_code in _DOWN else Ending.GOOD)
        return response

    def report(self) -> dict[str, Any]:
        """The breaker, for `/cache/health` and the statistics."""
        match self._breaker.state:
            case _ if self._counts == "off":
                state = "off"
            case Closed():
                state = "closed"
            case Open():
                state = "open"
            case HalfOpen():
                state = "half-open"
            case _:
                assert_never(self._breaker.state)
        return {"breaker": state, "opened": self._breaker.opened}

    def _attempt(self) -> "_Attempt":
        if self._counts == "off":
            return _Attempt(None, None, self._monotonic, at_connection=False)
        match self._breaker.admit(self._monotonic()):
            case Refused(wait_s):
                raise UpstreamDown(f"the upstream {_origin(self._url)} failed too often just now", wait_s)
            case ticket:
                return _Attempt(self._breaker, ticket, self._monotonic, at_connection=self._counts == "connection")

    def _request(self, outgoing: Outgoing, attempt: "_Attempt") -> httpx.Request:
        """`target` keeps httpx from rewriting path and query."""
        target = self.target(outgoing.path) + (f"?{outgoing.query}" if outgoing.query else "")
        fields = outgoing.fields if self._key is None else headers.with_key(outgoing.fields, self._key)
        return httpx.Request(
            outgoing.method,
            self._url.copy_with(path="/"),
            headers=list(fields),
            content=outgoing.body,
            extensions={"target": target.encode("latin-1"), "trace": attempt.trace},
        )


class _Attempt:
    """One request's ending, told to the breaker once."""

    def __init__(
        self, breaker: Breaker | None, ticket: Ticket | None, monotonic: Callable[[], float], at_connection: bool
    ) -> None:
        self._breaker = breaker
        self._ticket = ticket
        self._monotonic = monotonic
        self._at_connection = at_connection

    async def trace(self, event: str, info: object) -> None:
        """httpcore tells each step. Where connecting is all that counts, a probe's answer need not be waited for."""
        if self._at_connection and event.endswith("send_request_headers.started"):
            self.ended(Ending.GOOD)

    def ended(self, ending: Ending) -> None:
        if self._breaker is not None and self._ticket is not None:
            self._breaker.settle(self._ticket, ending, self._monotonic())
        self._ticket = None


def _origin(url: httpx.URL) -> str:
    return f"{url.scheme}://{url.netloc.decode()}"


class _in_our_words:
    """httpx's exceptions in, ours out."""

    def __init__(self, url: httpx.URL) -> None:
        self._where = _origin(url)

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        match error:
            case httpx.ConnectTimeout():
                raise UpstreamConnectTimeout(f"no connection to the upstream {self._where} in time") from error
            case httpx.PoolTimeout():
                raise UpstreamBusy("every connection to the upstream is in use") from error
            case httpx.TimeoutException():
                raise UpstreamTimeout(f"the upstream {self._where} sent nothing for too long") from error
            case httpx.ConnectError():
                raise UpstreamUnreachable(f"the upstream {self._where} cannot be reached: {error}") from error
            case httpx.TransportError():
                raise UpstreamError(f"the upstream {self._where} broke off before it answered") from error


def _connections(settings: Settings, trusted: ssl.SSLContext | None) -> httpx.AsyncHTTPTransport:
    return httpx.AsyncHTTPTransport(
        verify=True if trusted is None else trusted,
        trust_env=False,
        retries=settings.connect_retries,  # of connecting only
        limits=httpx.Limits(
            max_connections=settings.upstream_connections_max,
            max_keepalive_connections=settings.upstream_idle_max,
            keepalive_expiry=_KEEP_ALIVE_S,
        ),
    )
