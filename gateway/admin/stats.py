"""GET /cache/stats and /cache/stats/series: what was asked, what was answered from the cache and why not, and what it
saved. docs/stats.md is their contract."""

from dataclasses import asdict
from enum import StrEnum
from typing import Any, TypeVar

from anyio import to_thread
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from gateway.admin.health import describe, privacy
from gateway.ledger import LedgerFault
from gateway.names import By, Window

_SETTLE_S = 1.0
Word = TypeVar("Word", bound=StrEnum)


class _NoSuchWord(Exception):
    pass


async def stats(request: Request) -> Response:
    running = request.app.state.running
    try:
        window = _word(request, "window", Window) or Window.ALL
        by = _word(request, "by", By)
        return JSONResponse(await figures(running, window, by))
    except _NoSuchWord as error:
        return _error(400, str(error), "no_such_value")
    except LedgerFault as fault:
        return _error(503, str(fault), "ledger_fault")


async def figures(running: Any, window: Window, by: By | None = None) -> dict[str, Any]:
    """All of it, as docs/stats.md says. Raises LedgerFault."""
    await running.account.settled(_SETTLE_S)
    report = await running.ledger.report(window, by)
    prices = {model: price.model_dump(exclude_none=True) for model, price in running.settings.prices.items()}
    return dict(
        report
        | {
            "shadow": report["shadow"] | {"log": running.shadow_log.report()},
            "store": asdict(running.store.size()),
            "embedder": describe(running.embedding.state),
            "privacy": privacy(running.settings),
            "feedback": running.judgements.report(),
            "webhooks": running.outbox.report(),
            "classifiers": running.labels.report(),
            "batches": "off" if running.batches is None else await to_thread.run_sync(running.batches.report),
            "epochs": running.epochs.report(),
            "prices": prices or "unknown",
            "upstreams": running.upstream.report(),
            "load": running.admission.report(),
            "uptime_s": round(running.monotonic() - running.started_s, 1),
        }
    )


async def series(request: Request) -> Response:
    running = request.app.state.running
    try:
        window = _word(request, "window", Window) or Window.ALL
        await running.account.settled(_SETTLE_S)
        return JSONResponse(await running.ledger.series(window))
    except _NoSuchWord as error:
        return _error(400, str(error), "no_such_value")
    except LedgerFault as fault:
        return _error(503, str(fault), "ledger_fault")


def _word(request: Request, name: str, words: type[Word]) -> Word | None:
    said = request.query_params.get(name)
    if said is None:
        return None
    if said not in list(words):
        raise _NoSuchWord(f"{name} must be one of {', '.join(words)}")
    return words(said)


def _error(status: int, message: str, code: str) -> Response:
    return JSONResponse({"error": {"message": message, "code": code}}, status)
