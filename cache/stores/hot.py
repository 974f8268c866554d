"""Replies used lately, in memory, within a number of bytes that tenants share as they do the store (shares.py)."""

from cache.stores.shares import Shares, Stake

# One reply may take this part of the whole at most: a giant must not empty the cache for all others.
_SHARE = 8


class Hot:
    """Of the tenant that holds most, the least recently used leave first."""

    def __init__(self, bytes_max: int) -> None:
        self._bytes_max = bytes_max
        self._replies: dict[str, bytes] = {}
        self._shares = Shares()

    def get(self, entry_id: str) -> bytes | None:
        reply = self._replies.get(entry_id)
        if reply is not None:
            self._shares.use(entry_id)
        return reply

    def put(self, entry_id: str, reply: bytes, tenant: str) -> None:
        self.drop(entry_id)
        if len(reply) > self._bytes_max // _SHARE:
            return
        self._replies[entry_id] = reply
        self._shares.add(Stake(entry_id, tenant, len(reply)))
        for surplus in self._shares.surplus(self._bytes_max):
            self.drop(surplus)

    def drop(self, entry_id: str) -> None:
        if self._replies.pop(entry_id, None) is not None:
            self._shares.drop(entry_id)
