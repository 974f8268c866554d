from pathlib import Path

from cache.stores.base import Store
from cache.stores.memory import MemoryStore
from tests.contracts.store_contract import Clock, StoreContract


class TestMemoryStore(StoreContract):
    def open(self, directory: Path, clock: Clock, bytes_max: int) -> Store:
        return MemoryStore(clock, bytes_max)
