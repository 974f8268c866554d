"""A request to the upstream and its reply back, byte for byte, nothing buffered, both ways.

What breaks on one side breaks on the other: a client that leaves cancels the upstream's work, a reply
that the upstream cuts short is cut short to the client (never ended cleanly, for SDKs take a clean end
for the whole answer). The only file that uses httpx; it has never heard of a cache.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from http.cookiejar import DefaultCookiePolicy

import anyio
import httpx
from starlette.types import Send

from gateway import headers
from gateway.capture import Answered, Tap
from gateway.config import Settings
from gateway.dialects.framing import Editor
from gateway.errors import UpstreamError, UpstreamTimeout, UpstreamUnreachable
from gateway.routing import Base

Raw = Sequence[tuple[bytes, bytes]]
Body = bytes | AsyncIterator[bytes] | None

# Servers like vLLM's close an idle connection after 5 s: one that is about to be closed must not be used again.
_KEEP_ALIVE_S = 3.0


class Upstream:
    """The endpoint that serves the model, and the connections to it."""

    def __init__(
        self, settings: Settings, monotonic: Callable[[], float], transport: httpx.AsyncBaseTransport | None = None
    ) -> None:
        """`transport`: something else in the place of connections."""
        self._url = httpx.URL(settings.upstream)
        self._base = Base.of(self._url.raw_path.decode("ascii").partition("?")[0])
        self._monotonic = monotonic
        timeout = httpx.Timeout(settings.read_timeout_s, connect=settings.connect_timeout_s)
        limits = httpx.Limits(
            max_connections=settings.upstream_connections_max,
            max_keepalive_connections=100,
            keepalive_expiry=_KEEP_ALIVE_S,
        )
        # The environment names proxies for the machine's own traffic; this is the clients'. Its certificates count.
        trusted = httpx.create_ssl_context(trust_env=True) if transport is None else True
        self._client = httpx.AsyncClient(
            timeout=timeout, limits=limits, verify=trusted, trust_env=False, transport=transport
        )
        # One client's cookies must never travel with another's request.
        self._client.cookies.jar.set_policy(DefaultCookiePolicy(allowed_domains=[]))

    async def close(self) -> None:
        await self._client.aclose()

    def target(self, path: str) -> str:
        """The path that the upstream is asked for a client's path."""
        return self._base.target(path)

    def request(self, method: str, path: str, query: str, fields: Raw, body: Body) -> httpx.Request:
        """`path` and `query` go out as they came, still percent-encoded: `target` keeps httpx from rewriting them."""
        target = self.target(path) + (f"?{query}" if query else "")
        return httpx.Request(
            method,
            self._url.copy_with(path="/"),
            headers=list(fields),
            content=body,
            extensions={"target": target.encode("latin-1")},
        )

    async def relay(
        self,
        request: httpx.Request,
        send: Send,
        own_headers: Callable[[int], Raw],
        tap: Tap,
        ending: Callable[[], None],
        editor: Editor | None = None,
    ) -> Answered:
        """The reply, passed on as it comes, or, an event stream, as `editor` leaves it. `ending` is called, once or
        more, before the client can know its end. Raises UpstreamError as long as nothing has been passed on."""
        begun = self._monotonic()
        with _in_our_words(request):
            response = await self._client.send(request, stream=True)
        fields, status = response.headers.raw, response.status_code
        client = _Client(send, self._monotonic, editor if _is_plain_stream(response) else None)
        try:
            if not 200 <= status <= 599:  # nothing that a server may send on
                raise UpstreamError(f"the upstream answered with the status {status}, which HTTP does not have")
            await client.begin(status, [*headers.to_client(fields, status), *own_headers(status)])
            complete = await _pass_on(response, client, tap, ending)
        finally:
            with anyio.CancelScope(shield=True):
                await response.aclose()
        # A client that reads slowly is not the upstream's doing.
        seconds = self._monotonic() - begun - client.seconds
        ending()
        if complete:
            await client.end()
        # Otherwise return without ending the response: the server then breaks the connection.
        return Answered(status, fields, tap.taken(), complete, tap.too_large, seconds)


class _Client:
    """The client's end of a reply, and how long it took to take it."""

    def __init__(self, send: Send, monotonic: Callable[[], float], editor: Editor | None) -> None:
        self._send = send
        self._monotonic = monotonic
        self._editor = editor
        self.seconds = 0.0

    async def begin(self, status: int, fields: Raw) -> None:
        await self._send({"type": "http.response.start", "status": status, "headers": fields})

    async def take(self, chunk: bytes) -> None:
        begun = self._monotonic()
        if self._editor is not None:
            chunk = self._editor.feed(chunk)
        await self._send({"type": "http.response.body", "body": chunk, "more_body": True})
        self.seconds += self._monotonic() - begun

    async def end(self) -> None:
        await self._send({"type": "http.response.body", "body": self._editor.rest() if self._editor else b""})


def _is_plain_stream(response: httpx.Response) -> bool:
    fields = response.headers
    streams = fields.get("content-type", "").lower().startswith("text/event-stream")
    return streams and fields.get("content-encoding", "identity") == "identity" and "content-length" not in fields


async def _pass_on(response: httpx.Response, client: _Client, tap: Tap, ending: Callable[[], None]) -> bool:
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


class _in_our_words:
    """httpx's exceptions in, ours out."""

    def __init__(self, request: httpx.Request) -> None:
        self._where = f"{request.url.scheme}://{request.url.netloc.decode()}"

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        match error:
            case httpx.ConnectTimeout():
                raise UpstreamTimeout(f"no connection to the upstream {self._where} in time") from error
            case httpx.PoolTimeout():
                raise UpstreamTimeout("every connection to the upstream is in use") from error
            case httpx.TimeoutException():
                raise UpstreamTimeout(f"the upstream {self._where} sent nothing for too long") from error
            case httpx.ConnectError():
                raise UpstreamUnreachable(f"the upstream {self._where} cannot be reached: {error}") from error
            case httpx.TransportError():
                raise UpstreamError(f"the upstream {self._where} broke off before it answered") from error
