"""/cache/events: what waits for the webhooks, what nobody took, and another try for it."""

from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from gateway.admin.replies import Problem, read

_SHOWN_MOST = 100


class Retry(BaseModel):
    """The body of POST /cache/events/retry. Without `id`: all that were set aside for this webhook."""

    model_config = ConfigDict(extra="forbid", strict=True)

    webhook: str = Field(min_length=1)
    id: str | None = None


async def show_events(request: Request) -> Response:
    outbox = request.app.state.running.outbox
    return JSONResponse({"webhooks": outbox.report(), "set_aside": await outbox.aside(_SHOWN_MOST)})


async def retry(request: Request) -> Response:
    running, wanted = request.app.state.running, await read(request, Retry)
    if wanted.webhook not in running.outbox.report():
        raise Problem(404, "not_found", f"there is no webhook {wanted.webhook!r} in the settings")
    await running.audit.note(request, "retry-events", webhook=wanted.webhook, event=wanted.id)
    retried = await running.outbox.retry(wanted.webhook, wanted.id)
    if wanted.id is not None and not retried:
        raise Problem(404, "not_found", f"no event {wanted.id[:64]!r} is set aside for the webhook {wanted.webhook!r}")
    return JSONResponse({"retried": retried})
