"""An answer past its time that stands in for an upstream that fails: `stale-if-error` (RFC 5861, section 4).

Nothing is looked for before the upstream has failed, and nothing is served that the caller's own wishes or the guard
would have kept from it in its time.
"""

import logging
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

log = logging.getLogger("lookalike")

Answer = TypeVar("Answer")


class StandIn(Generic[Answer]):
    """Looked for once. `answer` is what was found."""

    def __init__(self, find: Callable[[str], Awaitable[Answer | None]]) -> None:
        """`find` is given the upstream's trouble in one word."""
        self._find = find
        self.answer: Answer | None = None

    async def stands_in(self, trouble: str) -> bool:
        """Whether there is an answer to give. Never raises: then the upstream's trouble is the client's, as ever."""
        try:
            self.answer = await self._find(trouble)
        except Exception:
            log.exception("no older answer could be looked for while the upstream is in trouble")
        return self.answer is not None
