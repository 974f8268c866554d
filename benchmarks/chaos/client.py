"""One request of one client, and whether what became of it is legal."""

import asyncio
from dataclasses import dataclass
from enum import StrEnum

import httpx

from benchmarks.chaos import speak
from benchmarks.chaos.upstream import INTACT, Upstream
from benchmarks.chaos.world import Ask, World


@dataclass(frozen=True, slots=True)
class Came:
    """What a client saw. `ended`: HTTP's end came."""

    status: int | None
    body: bytes
    ended: bool
    cache: str = ""
    left: bool = False
    error: str = ""

    @property
    def hit(self) -> bool:
        return "; hit" in self.cache


class Verdict(StrEnum):
    RIGHT = "right answer"
    UPSTREAMS_ERROR = "the upstream's own error, passed on"
    GATEWAYS_ERROR = "502, 503 or 504 for an upstream that failed"
    UPSTREAMS_TRASH = "what the upstream made of a reply, passed on"
    BROKEN = "broken off, as the upstream broke off"
    LEFT = "the client left"
    # None of these may ever be.
    WRONG = "WRONG ANSWER"
    FOREIGN = "ANOTHER TENANT'S ANSWER"
    INVENTED = "A HIT THAT THE UPSTREAM NEVER GAVE WHOLE"
    IN_THE_WAY = "THE UPSTREAM ANSWERED WELL, AND THE CLIENT DID NOT GET IT"
    UNEXPLAINED = "UNEXPLAINED"

    @property
    def is_legal(self) -> bool:
        return not self.value.isupper()


async def ask(client: httpx.AsyncClient, url: str, world: World, one: Ask) -> Came:
    content, fields = speak.body(one, world.base64(one)), speak.headers(one)
    came = Came(None, b"", False)
    try:
        async with asyncio.timeout(one.leaves_after_s):
            async with client.stream("POST", url + speak.path(one), content=content, headers=fields) as reply:
                cache = reply.headers.get("cache-status", "")
                came = Came(reply.status_code, b"", False, cache)
                body = b""
                async for chunk in reply.aiter_raw():
                    body += chunk
                    came = Came(reply.status_code, body, False, cache)
                return Came(reply.status_code, body, True, cache)
    except TimeoutError:
        return Came(came.status, came.body, False, came.cache, left=True)
    except httpx.TransportError as error:
        return Came(came.status, came.body, False, came.cache, error=repr(error))


def judge(one: Ask, came: Came, upstream: Upstream) -> Verdict:
    found, given = speak.tokens(came.body), upstream.given[one.key]
    wrong = {token for token in found if not token.startswith(one.key.token(0).removesuffix("0>"))}
    if any(not token.startswith(f"<{one.key.tenant}|") for token in wrong):
        return Verdict.FOREIGN
    if wrong or len(found) > 1:
        return Verdict.WRONG
    whole = came.ended and came.status == 200 and bool(found) and speak.is_whole(one, came.body)
    if came.hit and not came.left and not (whole and found <= given):
        return Verdict.INVENTED
    if whole and found <= given:
        return Verdict.RIGHT
    if came.left:
        return Verdict.LEFT
    did = upstream.did.get(one.number, [])
    faults = [each for each in did if each != INTACT] or sorted(upstream.faults[one.key] if not did else ())
    if not did and not faults and upstream.counts["longer-than-said"]:
        faults = ["longer-than-said"]  # it left bytes on a connection, and the next request there was lost
    if not faults:
        return Verdict.IN_THE_WAY
    return _excused(came, faults)


def _excused(came: Came, faults: list[str]) -> Verdict:
    if came.status in (502, 503, 504) and b"upstream" in came.body:
        return Verdict.GATEWAYS_ERROR if f"error-{came.status}" not in faults else Verdict.UPSTREAMS_ERROR
    if came.ended and f"error-{came.status}" in faults:
        return Verdict.UPSTREAMS_ERROR
    if came.ended and came.status == 200:
        return Verdict.UPSTREAMS_TRASH
    return Verdict.BROKEN if not came.ended else Verdict.UNEXPLAINED
