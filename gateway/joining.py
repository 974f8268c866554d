"""Looking for an answer among those in flight: who may be found there, and what a request finds."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import anyio

from cache.entry import Entry
from cache.flight import Flights, Lookout
from cache.keys import Asked
from cache.lookup import Hit, Miss, Rung, Terms, climb
from cache.stores.base import Clock, Store
from gateway.config import Settings
from gateway.crowd import Crowd
from gateway.dialects.base import Dialect
from gateway.epochs import Epochs
from gateway.fingerprint import Workers
from gateway.keep import Storing
from gateway.question import Question

# What began while a request looked at what is in flight is looked at as well, but not without end.
_TURNS_MOST = 3


class Joining:
    """`joins` False: every request goes alone."""

    def __init__(
        self,
        settings: Settings,
        store: Store,
        workers: Workers,
        flights: Flights[Crowd],
        clock: Clock,
        monotonic: Clock,
        epochs: Epochs,
        joins: bool,
    ) -> None:
        self._settings = settings
        self._store = store
        self._workers = workers
        self._flights = flights
        self._clock = clock
        self._monotonic = monotonic
        self._epochs = epochs
        self._joins = joins
        # As many as the machine works at: of a burst, the first join soon, where all at once would be too late.
        self._at_once = anyio.Semaphore(settings.workers)

    def crowd(self, dialect: Dialect, question: Question, asked: Asked, epoch: int) -> Crowd:
        """For a request that may become a flight."""
        return Crowd(self._flying(dialect, question, asked), dialect, question, self._settings.reply_bytes_max, epoch)

    def wanted(self, asked: Asked) -> bool:
        return self._joins and not self._flights.goes_apart(asked.partition, self._monotonic())

    async def settled(self, asked: Asked, wait_s: float) -> None:
        """Until an answer to this question that is being stored is."""
        await self._flights.settled(asked.partition, wait_s)

    @contextmanager
    def lookout(self, storing: Storing) -> Iterator[Lookout[Crowd]]:
        def made_of(flights: list[Crowd]) -> Lookout[Crowd]:
            return Lookout(flights, self._store.parted, storing.question.stream, self._settings.embed_timeout_s)

        with self._flights.looking(storing.asked.partition, made_of) as made:
            yield made

    async def joined(self, lookout: Lookout[Crowd], storing: Storing, terms: Terms) -> Hit | None:
        """The first rung that holds over what is in flight, down to what began a moment ago."""
        asked, looks, work = storing.asked, storing.looks, self._workers.run
        with anyio.move_on_after(self._settings.coalesce_look_s):
            for _ in range(_TURNS_MOST):
                if not lookout.turn(terms.fit):
                    break
                with terms.stage("join"):
                    found = await climb(lookout, asked, looks, replace(terms, highest=Rung.EXACT), work)
                    if isinstance(found, Miss) and terms.highest is not Rung.EXACT:
                        async with self._at_once:
                            found = await climb(lookout, asked, looks, terms, work)
                if not isinstance(found, Miss):
                    same = lookout.flight(found.entry).epoch == storing.epoch
                    return found if same and self._epochs.holds(storing.question.model, storing.epoch) else None
        return None

    def _flying(self, dialect: Dialect, question: Question, asked: Asked) -> Entry:
        """What is known of an answer that has just been asked for."""
        now_s = self._clock()
        return Entry(
            id=secrets.token_hex(16),
            partition=asked.partition,
            exact=asked.exact,
            pixel="",
            dialect=dialect.name,
            model=question.model,
            created_s=now_s,
            expires_s=now_s + self._settings.ttl_s,
            upstream_s=0.0,
            tokens_in=None,
            tokens_out=0 if question.needs_usage else None,  # those who need them may count on them, or not
            streamed=question.stream,
            space=None,
            sizes=(),
        )
