"""Shadow mode at work: weigh the candidates while the upstream answers, then compare its answer with the stored ones.

The request was forwarded and the client has its reply; nothing here is waited for. Faults are raised, and
gateway/plan.py catches them.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import assert_never

from cache.errors import CorruptRow
from cache.keys import Asked
from cache.lookup import Exact, Found, Looks, Miss, Near, Pixel, Terms
from cache.stores.base import Clock, Store
from cache.survey import Survey, Weighed, survey
from cache.verdict import Different, Same
from gateway import capture
from gateway.dialects.base import Dialect
from gateway.fingerprint import Workers
from gateway.price import Price
from gateway.question import Question, Reply, Unstored, Usage
from gateway.shadow import Agreement, Candidate, Kind, Observation, WouldServe, agree
from gateway.shadowlog import ShadowLog

_QUESTION_DIGITS = 12


@dataclass(slots=True)
class Shadow:
    """A request that is forwarded, and what would have been served instead. `survey` is set while the upstream is
    at work."""

    would: WouldServe
    dialect: Dialect
    question: Question
    found: Found
    asked: Asked
    terms: Terms
    survey: Survey | None = None


def would_serve(found: Found, partition: str) -> WouldServe:
    question = partition[:_QUESTION_DIGITS]
    match found:
        case Exact():
            return WouldServe(Kind.EXACT, question)
        case Pixel():
            return WouldServe(Kind.PIXEL, question)
        case Near(similarity=similarity, score=score):
            return WouldServe(Kind.NEAR, question, None, similarity, score)
        case Miss(doubt, similarity):
            return WouldServe(Kind.MISS, question, doubt, similarity)
        case _:
            assert_never(found)


class Watch:
    def __init__(
        self,
        store: Store,
        workers: Workers,
        shadow_log: ShadowLog,
        price_of: Callable[[str], Price | None],
        clock: Clock,
    ) -> None:
        self._store = store
        self._workers = workers
        self._log = shadow_log
        self._price_of = price_of
        self._clock = clock

    async def weigh(self, shadow: Shadow, looks: Looks) -> None:
        """Find the candidates as the store has them now, before this request's own answer is in it."""
        shadow.survey = await survey(self._store, shadow.asked, looks, shadow.found, shadow.terms, self._workers.run)

    async def compare(self, shadow: Shadow, reply: Reply | Unstored, seconds: float) -> Observation:
        """Compare a whole answer, or say why there is none, and write it to the shadow log."""
        weighed = _with_the_hit(shadow)
        stored = [await self._store.peek(one.entry.id) for one in weighed]
        hit = None if isinstance(shadow.found, Miss) else shadow.found.reply
        compared = partial(_agreements, shadow.dialect, reply, [hit, *stored])
        agreement, *others = await self._workers.run(compared)
        candidates = tuple(_candidate(one, found) for one, found in zip(weighed, others, strict=True))
        observation = self._observation(shadow, reply, seconds, agreement, candidates)
        self._log.append(observation)
        return observation

    def _observation(
        self,
        shadow: Shadow,
        reply: Reply | Unstored,
        seconds: float,
        agreement: Agreement | None,
        candidates: tuple[Candidate, ...],
    ) -> Observation:
        would, looked, model = shadow.would, shadow.survey, shadow.question.model
        usage = Usage(None, None) if isinstance(reply, Unstored) else shadow.dialect.usage(reply)
        price = None if isinstance(reply, Unstored) else self._price_of(model)
        money = price.of(usage.tokens_in, usage.tokens_out, seconds) if price else None
        return Observation(
            time_s=self._clock(),
            model=model,
            dialect=shadow.dialect.name,
            question=would.question,
            pictures=len(shadow.question.pictures),
            would_be=would.kind,
            doubt=would.doubt,
            similarity=would.similarity,
            score=would.score,
            space=looked.space if looked else None,
            threshold=looked.threshold if looked else None,
            floor=shadow.terms.floor,
            tokens_in=usage.tokens_in,
            tokens_out=usage.tokens_out,
            upstream_s=seconds,
            money=money,
            currency=price.currency if price else None,
            unread=reply if isinstance(reply, Unstored) else None,
            agreement=agreement,
            candidates=candidates,
        )


def _with_the_hit(shadow: Shadow) -> tuple[Weighed, ...]:
    """The candidates; the would-be hit is among them even where the survey failed."""
    weighed, found = shadow.survey.weighed if shadow.survey else (), shadow.found
    if isinstance(found, Near) and found.entry.id not in [one.entry.id for one in weighed]:
        return (*weighed, Weighed(found.entry, found.similarity, Same(found.score)))
    return weighed


def _candidate(one: Weighed, agreement: Agreement | None) -> Candidate:
    match one.verdict:
        case Same(score):
            return Candidate(one.similarity, None, score, agreement)
        case Different(doubt, score):
            return Candidate(one.similarity, doubt, score, agreement)


def _agreements(dialect: Dialect, reply: Reply | Unstored, stored: Sequence[bytes | None]) -> list[Agreement | None]:
    if isinstance(reply, Unstored):
        return [None] * len(stored)
    fresh = dialect.text(reply)
    return [None if each is None else _agreement(dialect, fresh, each) for each in stored]


def _agreement(dialect: Dialect, fresh: str, stored: bytes) -> Agreement | None:
    try:
        return agree(dialect.text(capture.unpack(stored)), fresh)
    except CorruptRow:  # the ladder meets it too, and forgets it
        return None
