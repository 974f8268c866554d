"""One question to the gateway, as often as it takes, with back-off and at a pace; and its reply, read.

Where a server says when it wants to be asked again, everybody waits, not only who was told. What cannot get better for
anybody (the key is refused, nobody listens) is raised as `GaveUp`.
"""

import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

import anyio
import httpx
import orjson

from gateway.account import CACHE_NAME
from gateway.backoff import NAMED_MOST_S, delay_s, may_retry, named_s
from gateway.bulk.items import Answer, Failure, GaveUp, Refused, Result
from gateway.dialects import claim
from gateway.question import Reply, Unstored, Usage

Clock = Callable[[], float]
_WORDS_MOST: Final = 500  # characters of a server's own words that are kept of a failure


class Stopped(Exception):
    """Whoever runs this wants it to end; the question was not answered and has no result."""


class Pacer:
    """When the next request may start: at most `rate` a second (None: no limit), and none while all are held."""

    def __init__(self, rate: float | None, monotonic: Clock, wait: Callable[[float], Awaitable[None]]) -> None:
        self._gap_s = 1 / rate if rate else 0.0
        self._monotonic = monotonic
        self._wait = wait  # raises Stopped
        self._next_s = 0.0
        self.held_until_s = 0.0

    async def turn(self) -> None:
        while (until_s := self._free_s()) > self._monotonic():
            await self._wait(until_s - self._monotonic())
        self._next_s = max(self._next_s, self._monotonic()) + self._gap_s

    def hold(self, seconds: float) -> None:
        self.held_until_s = max(self.held_until_s, self._monotonic() + seconds)

    def _free_s(self) -> float:
        return max(self._next_s if self._gap_s else 0.0, self.held_until_s)


@dataclass(frozen=True, slots=True)
class Asker:
    """Asks through `client`, whose base URL is the gateway's. `wait` sleeps, or raises Stopped."""

    client: httpx.AsyncClient
    pacer: Pacer
    retries: int
    monotonic: Clock
    clock: Clock  # Unix time, for Retry-After as a date
    wait: Callable[[float], Awaitable[None]]
    chance: random.Random
    headers: tuple[tuple[str, str], ...] = ()

    async def __call__(self, path: str, body: bytes) -> Result:
        """Raises Stopped, and GaveUp where to go on is of no use to anybody."""
        for attempt in range(1, self.retries + 2):
            await self.pacer.turn()
            begun_s = self.monotonic()
            named: float | None = None
            try:
                response = await self.client.post(path, content=body, headers=list(self.headers))
            except httpx.InvalidURL as error:
                return Failure("bad-url", str(error))
            except httpx.RequestError as error:
                failure, unreachable = _broken(error), isinstance(error, httpx.ConnectError)
            else:
                seconds = self.monotonic() - begun_s
                result = read_reply(path, response, seconds)
                if isinstance(result, Answer):
                    return result
                failure, unreachable = result, False
                if response.status_code == 401:
                    raise Refused(failure)
                if response.status_code == 200 or not may_retry(response.status_code):
                    return failure
                if (named := named_s(response.headers, self.clock())) is not None:
                    if named > NAMED_MOST_S:
                        return failure
                    self.pacer.hold(named)
            if attempt <= self.retries:
                await self.wait(delay_s(attempt, named, self.chance))
        if unreachable:
            raise GaveUp(f"{self.client.base_url} cannot be reached: {failure.message}")
        return failure


def _broken(error: httpx.RequestError) -> Failure:
    if isinstance(error, httpx.TimeoutException):
        return Failure("timeout", "no reply in time")
    return Failure("connection", str(error) or type(error).__name__)


def read_reply(path: str, response: httpx.Response, seconds: float) -> Result:
    """The answer in a reply, or why it is none."""
    cache, reason = cache_of(response.headers.get("cache-status", ""))
    body = response.content
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        value = None
    if response.status_code != 200:
        code, message = _error(value)
        words = message or body[:_WORDS_MOST].decode("utf-8", "replace")
        return Failure(code or "status", words[:_WORDS_MOST], response.status_code, body)
    if not isinstance(value, dict):
        return Failure("malformed-reply", "the reply is not one JSON object (a stream?)", 200)
    dialect = claim("POST", path)
    if dialect is not None and dialect.whole(body) is Unstored.ERROR_IN_REPLY:
        return Failure("error-in-reply", body[:_WORDS_MOST].decode("utf-8", "replace"), 200, body)
    usage = dialect.usage(Reply(value)) if dialect else Usage(None, None)
    return Answer(
        cache=cache,
        reason=reason,
        status=200,
        request_id=response.headers.get("x-request-id", ""),
        model=str(value.get("model") or ""),
        seconds=seconds,
        tokens_in=usage.tokens_in,
        tokens_out=usage.tokens_out,
        body=body,
    )


def cache_of(field: str) -> tuple[str, str | None]:
    """What our member of Cache-Status (RFC 9211) says: (exact, pixel, near, miss or bypass; the reason of no hit). The
    answer to another request in flight is a hit: it was not paid for."""
    for member in field.split(","):
        name, *given = (part.strip() for part in member.split(";"))
        if name == CACHE_NAME:
            parameters = dict(part.partition("=")[::2] for part in given)
            detail = parameters.get("detail")
            if "hit" in parameters or parameters.get("collapsed") == "":
                return detail or "exact", None
            return ("bypass" if parameters.get("fwd") == "bypass" else "miss"), detail
    return "bypass", "no-gateway"


def _error(value: Any) -> tuple[str, str]:
    """Code and message, in whichever of the common shapes."""
    error = value.get("error", value) if isinstance(value, dict) else value
    if isinstance(error, str):
        return "", error
    if not isinstance(error, dict):
        return "", ""
    return str(error.get("code") or error.get("type") or ""), str(error.get("message") or "")


async def wait_unless(stop: anyio.Event, seconds: float) -> None:
    """Sleep. Raises Stopped as soon as `stop` is set."""
    with anyio.move_on_after(seconds):
        await stop.wait()
    if stop.is_set():
        raise Stopped
