"""A stored answer to the client, and the errors that are the gateway's own."""

from collections.abc import Sequence
from email.utils import formatdate

from starlette.types import Send

from gateway.account import CACHE_NAME, Trail
from gateway.capture import Rendered
from gateway.dialects.base import Dialect
from gateway.errors import GatewayError, UpstreamError
from gateway.headers import tagged

Headers = Sequence[tuple[bytes, bytes]]


async def serve(send: Send, rendered: Rendered, trail: Trail, request_id: str, now_s: float) -> None:
    """Everything at once: pacing a stored stream would only make the client wait."""
    trail.status = 200
    await respond(send, 200, rendered.media_type, rendered.body, hit_headers(trail, request_id, now_s))


def hit_headers(trail: Trail, request_id: str, now_s: float) -> list[tuple[bytes, bytes]]:
    fields = {
        "date": formatdate(now_s, usegmt=True),
        "x-request-id": request_id,  # what the clients of OpenAI's form show ...
        "request-id": request_id,  # ... and those of Anthropic's
    }
    if trail.entry is not None:  # otherwise it is in flight still
        fields |= {
            "age": str(int(trail.entry.age_s(now_s))),
            "x-lookalike-entry": trail.entry.id,
            "x-lookalike-request": trail.request or "",
        }
    own = [(name.encode(), value.encode("latin-1", "replace")) for name, value in fields.items()]
    return [*cache_headers(trail, now_s), *own, *tagged(trail.tags)]


def cache_headers(trail: Trail, now_s: float) -> list[tuple[bytes, bytes]]:
    """What the cache did, and how near the nearest picture was, whether the guard let it pass or not."""
    fields = [(b"cache-status", trail.cache_status(now_s).encode())]
    if trail.similarity is not None:
        fields.append((b"x-lookalike-similarity", f"{trail.similarity:.4f}".encode()))
    if trail.upstream is not None:
        fields.append((b"x-lookalike-upstream", trail.upstream.encode()))
    if trail.shadow is not None:
        fields.append((b"x-lookalike-shadow", trail.shadow.header().encode()))
    return fields


async def refuse(send: Send, error: GatewayError, dialect: Dialect, trail: Trail, now_s: float) -> None:
    """An error of the gateway's own, in the shape that the dialect's clients understand."""
    trail.status, trail.error = error.status, error.code
    body = dialect.error(error.status, error.code, f"{CACHE_NAME}: {error}")
    forwarded = isinstance(error, UpstreamError)
    status = trail.cache_status(now_s) if forwarded else f"{CACHE_NAME}; detail={error.code}"
    fields = [(b"cache-status", status.encode())]
    if error.retry_after_s is not None:
        fields.append((b"retry-after", str(error.retry_after_s).encode()))
    await respond(send, error.status, "application/json", body, fields)


async def respond(send: Send, status: int, media_type: str, body: bytes, headers: Headers) -> None:
    own = [(b"content-type", media_type.encode("latin-1")), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": [*own, *headers]})
    await send({"type": "http.response.body", "body": body})
