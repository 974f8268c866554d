"""One attempt to deliver an event. The only file of webhooks that knows HTTP."""

import logging

import anyio
import httpx

from gateway.backoff import named_s
from gateway.webhooks import signature
from gateway.webhooks.schedule import Attempt, Trouble
from gateway.webhooks.settings import Webhook

log = logging.getLogger("lookalike")

# What a receiver says is of no interest; this much is read, so that the connection can be used again.
_READ_BYTES = 64 * 1024


def client() -> httpx.AsyncClient:
    """Goes where the settings say and nowhere else: no proxy of the environment, no redirect."""
    trusted = httpx.create_ssl_context(trust_env=True)
    return httpx.AsyncClient(verify=trusted, trust_env=False, follow_redirects=False, timeout=None)


async def post(
    http: httpx.AsyncClient, webhook: Webhook, key: bytes, event_id: str, body: bytes, now_s: float
) -> Attempt:
    """Sends it, signed as of `now_s` (Unix time). Takes `timeout_s` at the most, however slowly the receiver speaks;
    one that has said its status by then has answered."""
    fields = signature.headers(key, event_id, now_s, body) | {
        "content-type": "application/json",
        "user-agent": "lookalike-webhooks",
    }
    attempt = Attempt(Trouble.TIMEOUT)
    with anyio.move_on_after(webhook.timeout_s):
        try:
            async with http.stream("POST", webhook.url, content=body, headers=fields) as response:
                attempt = Attempt(response.status_code, named_s(response.headers, now_s))
                taken = 0
                async for chunk in response.aiter_raw():
                    taken += len(chunk)
                    if taken > _READ_BYTES:
                        break
        except (httpx.HTTPError, OSError) as error:
            log.debug("the webhook %s: %s", webhook.name, type(error).__name__)
            if attempt.reply is Trouble.TIMEOUT:
                attempt = Attempt(Trouble.UNREACHABLE)
    return attempt
