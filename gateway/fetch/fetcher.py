"""An http(s) picture, fetched within limits and to an address that was judged. The only file that does.

A transport and no client: it knows no redirects, cookies, credentials or proxies, and writes no URL to a log. What
goes wrong is NotFetched; the request is then forwarded as it came.
"""

import ssl
from collections.abc import Collection, Mapping, Sequence

import anyio
import httpx

from gateway.fetch.errors import Failed, NotFetched, Refused
from gateway.fetch.resolver import Resolve
from gateway.fetch.rules import Rules, Target
from gateway.question import Bypass

_REDIRECTS = frozenset((301, 302, 303, 307, 308))
_REDIRECTS_MOST = 3
_URLS_MOST = 32  # of one request: it must not make the gateway a means to flood others
_ADDRESSES_MOST = 3
_CONNECT_S = 2.0  # to one address, before the next is tried
_NO_REUSE = httpx.Limits(max_connections=None, max_keepalive_connections=0)
# Hosts that choose a format by Accept shall choose as they would for a model server.
_FIELDS = {"accept": "*/*", "accept-encoding": "identity", "user-agent": "lookalike"}


def direct(trusted: ssl.SSLContext) -> httpx.AsyncBaseTransport:
    """To the address in the URL, by no proxy. A connection was judged for one host: it is not used again, for any."""
    return httpx.AsyncHTTPTransport(verify=trusted, trust_env=False, limits=_NO_REUSE)


class Fetcher:
    """`timeout_s` is for all pictures of one request together, `bytes_max` for one picture; `at_once_max` pictures
    are fetched at a time, whoever asks."""

    def __init__(
        self,
        rules: Rules,
        resolve: Resolve,
        transport: httpx.AsyncBaseTransport,
        timeout_s: float,
        bytes_max: int,
        at_once_max: int,
    ) -> None:
        self._rules = rules
        self._resolve = resolve
        self._timeout_s = timeout_s
        self._bytes_max = bytes_max
        self._slots = anyio.Semaphore(at_once_max)
        self._transport = transport

    async def close(self) -> None:
        await self._transport.aclose()

    async def fetch(self, urls: Collection[str], bytes_max: int) -> Mapping[str, bytes]:
        """The file behind each URL, of `bytes_max` bytes in all. Raises NotFetched as soon as one is not to be had."""
        targets = {url: self._rules.target(url) for url in urls}  # all may be fetched, or none is
        if len(targets) > _URLS_MOST:
            raise Refused(f"{len(targets)} URLs in one request")
        files: dict[str, bytes] = {}
        missed: list[NotFetched] = []
        allowance = _Allowance(bytes_max)

        async def one(url: str, scope: anyio.CancelScope) -> None:
            try:
                async with self._slots:
                    files[url] = await self._one(targets[url], allowance)
            except NotFetched as error:  # as a value: a task group would wrap it
                missed.append(error)
                scope.cancel()

        with anyio.move_on_after(self._timeout_s):
            async with anyio.create_task_group() as tasks:
                for url in targets:
                    tasks.start_soon(one, url, tasks.cancel_scope)
        if missed:
            raise missed[0]
        if len(files) < len(targets):
            raise Failed(f"a picture did not come within {self._timeout_s:g} s")
        return files

    async def _one(self, target: Target, allowance: "_Allowance") -> bytes:
        for _ in range(_REDIRECTS_MOST + 1):
            answer = await self._ask(target, allowance)
            if isinstance(answer, bytes):
                return answer
            target = self._rules.redirected(target, answer)
        raise Refused(f"{target.host} redirects once more after {_REDIRECTS_MOST} redirects")

    async def _ask(self, target: Target, allowance: "_Allowance") -> bytes | str:
        """The file, or where a redirect leads."""
        addresses = [target.host] if target.is_address else await self._resolve(target.host, target.port)
        response = await self._connected(target, target.judged(addresses))
        try:
            location: str | None = response.headers.get("location")
            if response.status_code in _REDIRECTS and location:
                return location
            return await self._read(target, response, allowance)
        finally:
            with anyio.CancelScope(shield=True):
                await response.aclose()

    async def _connected(self, target: Target, addresses: Sequence[str]) -> httpx.Response:
        """The head of the answer, from the first address that takes a connection."""
        for address in addresses[:_ADDRESSES_MOST]:
            try:
                return await self._transport.handle_async_request(_request(target, address))
            except (httpx.ConnectError, httpx.ConnectTimeout):
                continue
            except httpx.TransportError as error:
                raise Failed(f"{target.host} did not answer") from error
        raise Failed(f"{target.host} cannot be reached")

    async def _read(self, target: Target, response: httpx.Response, allowance: "_Allowance") -> bytes:
        fields = response.headers
        if response.status_code != 200:
            raise Failed(f"{target.host} answered with the status {response.status_code}")
        if fields.get("content-encoding", "identity").lower() != "identity":
            raise Failed(f"{target.host} answered with a coded body, which was not asked for")
        length = fields.get("content-length")
        if length is None and fields.get("transfer-encoding", "").lower() != "chunked":
            raise Failed(f"{target.host} sends a body whose end cannot be told from a break")
        if length is not None and int(length) > self._bytes_max:  # h11 lets digits through alone
            raise _too_large(target)
        taken = bytearray()
        try:
            async for chunk in response.aiter_raw():
                taken += chunk
                if len(taken) > self._bytes_max or not allowance.takes(len(chunk)):
                    raise _too_large(target)
        except httpx.TransportError as error:
            raise Failed(f"{target.host} broke off") from error
        return bytes(taken)


class _Allowance:
    """Bytes that may still be fetched for one request."""

    def __init__(self, left: int) -> None:
        self._left = left

    def takes(self, count: int) -> bool:
        self._left -= count
        return self._left >= 0


def _request(target: Target, address: str) -> httpx.Request:
    """To `address` and no other; the host's name is in Host, in the server name of TLS, and checked in its
    certificate. The path goes out as it was parsed: it may be signed."""
    return httpx.Request(
        "GET",
        target.url.copy_with(host=address),
        headers={"host": target.url.netloc.decode("ascii"), **_FIELDS},
        extensions={
            "target": target.url.raw_path,
            "sni_hostname": target.host,
            "timeout": {"connect": _CONNECT_S},
        },
    )


def _too_large(target: Target) -> NotFetched:
    return NotFetched(Bypass.PICTURE_TOO_LARGE, f"{target.host} sends more bytes than may be fetched")
