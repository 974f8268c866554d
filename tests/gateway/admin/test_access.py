"""The rules in front of endpoints that are none of ours. tests/flows/test_access.py has the whole, over HTTP."""

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route, Router

from cache.errors import StoreFault
from gateway.admin.access import Access, Guarded
from gateway.admin.policy import policy
from gateway.config import Settings

pytestmark = pytest.mark.anyio

TOKEN = "a-token-of-quite-some-length"
BEARER = {"authorization": f"Bearer {TOKEN}"}


async def ready(request: Request) -> Response:
    return JSONResponse(
        {"upstream": "http://secret.internal"}, int(request.query_params["status"]), {"x-secret": "yes"}
    )


async def who(request: Request) -> Response:
    return JSONResponse({"who": request.state.who.name}, headers={"content-security-policy": "script-src 'self'"})


async def fault(request: Request) -> Response:
    raise StoreFault("the disk is full")


def guarded(**settings: str) -> httpx.AsyncClient:
    access = Access(policy(Settings(upstream="http://h", **settings)), b"s" * 32, lambda: 1_000.0)
    routes = [Route("/health/ready", ready), Route("/who", who), Route("/fault", fault)]
    app = Mount("/cache", app=Guarded(Router(routes), access, frozenset()))
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1:8080/cache")


@pytest.mark.parametrize(("status", "word"), [(200, "ready"), (503, "not-ready")])
async def test_of_readiness_a_probe_without_the_token_gets_the_status_and_a_word(status: int, word: str) -> None:
    for settings in ({"admin_token": TOKEN}, {"admin_access": "off"}):
        async with guarded(**settings) as client:
            reply = await client.get(f"/health/ready?status={status}")
            assert (reply.status_code, reply.json()) == (status, {"status": word})
            assert "x-secret" not in reply.headers


async def test_with_the_token_readiness_tells_all() -> None:
    async with guarded(admin_token=TOKEN) as client:
        reply = await client.get("/health/ready?status=503", headers=BEARER)

    assert reply.json() == {"upstream": "http://secret.internal"}


async def test_endpoints_know_who_asks_and_may_say_more_of_what_a_page_needs() -> None:
    async with guarded(admin_token=TOKEN) as client:
        reply = await client.get("/who", headers=BEARER)

    assert reply.json() == {"who": "token"}
    assert reply.headers["content-security-policy"] == "script-src 'self'"
    assert reply.headers["x-frame-options"] == "DENY"


async def test_a_fault_of_the_store_is_told_in_words() -> None:
    async with guarded() as client:
        reply = await client.get("/fault")

    assert (reply.status_code, reply.json()["error"]["code"]) == (503, "store_fault")
    assert "the disk is full" in reply.json()["error"]["message"]
