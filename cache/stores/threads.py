"""The threads of an embedded store: neither SQLite's connection nor faiss's indexes are shared."""

import logging
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

from cache.stores.vectors import one_thread_each

log = logging.getLogger(__name__)


class Threads:
    """One for the rows, one for the vectors, and one, started when first needed, that erases."""

    def __init__(self) -> None:
        self.worker = ThreadPoolExecutor(1, "store-rows")
        self.scrubber = ThreadPoolExecutor(1, "store-scrubber")
        self.searcher = ThreadPoolExecutor(1, "store-vectors", initializer=one_thread_each)

    def search_thread_does(self, work: Callable[..., None], *given: object) -> None:
        """In passing: a later search waits behind it, so it sees it."""
        self.searcher.submit(work, *given).add_done_callback(_log_failure)

    def shutdown(self) -> None:
        self.scrubber.shutdown()
        self.worker.shutdown()
        self.searcher.shutdown()


def _log_failure(done: Future[None]) -> None:
    if done.exception() is not None:  # `check` will say so too
        log.error("the vectors' index failed: %s", done.exception())
