"""`--dry-run`: what a run would find and cost. No model is asked; a gateway is asked only what it has."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import anyio.to_thread
import httpx
import orjson
import pybase64

from gateway import pictures
from gateway.bulk.items import Answer, Failure, GaveUp
from gateway.errors import NotInCache
from gateway.pictures import Picture
from gateway.question import NotCacheable, Object
from gateway.warm.estimate import Assumed, Estimate
from gateway.warm.job import Job, Survey
from gateway.warm.kept import ONLY_IF_CACHED
from gateway.warm.rehearse import Rehearsed


@dataclass(slots=True)
class Forecast:
    """What a run would come to."""

    survey: Survey
    estimate: Estimate
    cached: Counter[str] = field(default_factory=Counter)  # by rung
    rehearsed: Rehearsed | None = None

    def rows(self) -> list[tuple[str, int, str]]:
        survey, found = self.survey, self.rehearsed
        rows = [("questions", survey.items, ""), ("done before", survey.answered, "")]
        if survey.bad_count:
            rows.append(("lines that cannot be used", survey.bad_count, ""))
        rows.append(("in the cache already", self.cached.total(), _words(self.cached)))
        if found is not None:
            rows.append(("alike, would hit", found.alike.total(), _words(found.alike)))
            rows.append(("not cacheable", found.passed.total(), _words(found.passed)))
        return [*rows, ("calls of the model", self.estimate.calls, "")]

    def report(self, took_s: float) -> dict[str, Any]:
        """For programs."""
        found, estimate = self.rehearsed, self.estimate
        return {
            "total": self.survey.items,
            "done_before": self.survey.answered,
            "bad_lines": self.survey.bad_count,
            "cached": {"total": self.cached.total(), **self.cached},
            "alike": None if found is None else {"total": found.alike.total(), **found.alike},
            "not_cacheable": None if found is None else dict(found.passed),
            "calls": estimate.calls,
            "tokens_in": estimate.tokens_in,
            "tokens_out": estimate.calls * estimate.assumed.tokens_out,
            "money": {currency: round(value, 6) for currency, value in estimate.money.items()},
            "calls_without_price": estimate.unpriced,
            "seconds": round(took_s, 1),
        }


async def forecast(
    job: Job, survey: Survey, asking: httpx.AsyncClient | None, alike: bool, assumed: Assumed
) -> Forecast:
    """`asking` None: there is no cache yet. Raises Stopped, GaveUp."""
    made = Forecast(survey, Estimate(assumed, job.wanted.settings.price))
    if asking is not None:
        await _what_is_there(job, survey, asking, made)
    if alike and (left := survey.open - made.cached.total()) > 0:
        made.rehearsed = await job.find_alike(lambda: job.open_items(later=False), left)
    job.display.step("counting what it may cost")
    items = job.open_items(later=False)
    while (marked := await anyio.to_thread.run_sync(next, items, None)) is not None:
        composed = await job.composed(marked[0])
        if not isinstance(composed, Failure):
            await anyio.to_thread.run_sync(_add, made.estimate, composed[1], job.wanted.settings.pixels_max)
        await job.wait(0)
    return made


async def _what_is_there(job: Job, survey: Survey, asking: httpx.AsyncClient, made: Forecast) -> None:
    ask = replace(job.asker(asking), retries=0)
    ask = replace(ask, headers=(*ask.headers, *ONLY_IF_CACHED.items()))
    job.display.step("asking what is in the cache", survey.open)
    items, done = job.open_items(), 0
    while (marked := await anyio.to_thread.run_sync(next, items, None)) is not None:
        composed = await job.composed(marked[0])
        if not isinstance(composed, Failure):
            match await ask(*composed):
                case Answer(cache=cache):
                    made.cached[cache] += 1
                    job.journal.put_off(marked[0])
                case Failure(code, message, status) if status != NotInCache.status:
                    raise GaveUp(f"the gateway does not tell what it has: {code}: {message}")
        done += 1
        job.display.reading(done)


def _add(estimate: Estimate, body: bytes, pixels_max: int) -> None:
    value: Object = orjson.loads(body)
    texts = list(_texts(value))
    sizes = [_size(text, pixels_max) for text in texts if _is_picture(text)]
    estimate.add(str(value.get("model") or ""), sizes, sum(len(t.encode()) for t in texts if not _is_picture(t)))


def _texts(value: object) -> Iterator[str]:
    match value:
        case dict():
            for item in value.values():
                yield from _texts(item)
        case list():
            for item in value:
                yield from _texts(item)
        case str():
            yield value


def _is_picture(text: str) -> bool:
    """A URL of one, or base64 alone: no text is so long without a space."""
    return text.startswith(("data:", "http://", "https://")) or (len(text) > 2000 and " " not in text[:2000])


def _size(url: str, pixels_max: int) -> tuple[int, int] | None:
    head, _, encoded = url.partition(",")
    if not head.startswith("data:"):
        return None
    try:
        return pictures.size(Picture.of(pybase64.b64decode(encoded)), pixels_max)
    except (NotCacheable, ValueError):
        return None


def _words(counts: Counter[str]) -> str:
    return ", ".join(f"{word} {count:,}" for word, count in counts.most_common())
