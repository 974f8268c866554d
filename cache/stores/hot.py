"""Replies used lately, in memory, within a number of bytes."""

from collections import OrderedDict

# One reply may take this part of the whole at most: a giant must not empty the cache for all others.
_SHARE = 8


class Hot:
    """The least recently used leave first."""

    def __init__(self, bytes_max: int) -> None:
        self._bytes_max = bytes_max
        self._bytes = 0
        self._replies: OrderedDict[str, bytes] = OrderedDict()

    def get(self, entry_id: str) -> bytes | None:
        reply = self._replies.get(entry_id)
        if reply is not None:
            self._replies.move_to_end(entry_id)
        return reply

    def put(self, entry_id: str, reply: bytes) -> None:
        self.drop(entry_id)
        if len(reply) > self._bytes_max // _SHARE:
            return
        self._replies[entry_id] = reply
        self._bytes += len(reply)
        while self._bytes > self._bytes_max:
            self.drop(next(iter(self._replies)))

    def drop(self, entry_id: str) -> None:
        self._bytes -= len(self._replies.pop(entry_id, b""))
