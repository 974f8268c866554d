"""Room shared among tenants: how much each holds, and who gives way when it is used up. No I/O.

Who holds most gives way first, each tenant's least recently used first. Whenever more is held than there is room
for, the one that holds most holds more than an even share of it: nobody is pushed below that by another.
"""

import heapq
from collections import Counter, OrderedDict
from collections.abc import Collection, Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Stake:
    """What one entry takes of the room."""

    entry_id: str
    tenant: str
    weight: int  # bytes


class Shares:
    """Entries by tenant, in the order of their last use. Every method costs microseconds, however many there are."""

    def __init__(self) -> None:
        self.bytes = 0
        self._stakes: dict[str, Stake] = {}
        self._orders: dict[str, OrderedDict[str, None]] = {}  # by tenant, the least recently used first
        self._held: Counter[str] = Counter()  # bytes by tenant
        self._heaviest: list[tuple[int, str]] = []  # a heap of (-bytes, tenant); what is true no more is skipped

    def __len__(self) -> int:
        return len(self._stakes)

    def add(self, stake: Stake) -> None:
        assert stake.entry_id not in self._stakes
        self._stakes[stake.entry_id] = stake
        self._orders.setdefault(stake.tenant, OrderedDict())[stake.entry_id] = None
        self._weigh(stake.tenant, stake.weight)

    def drop(self, entry_id: str) -> None:
        stake = self._stakes.pop(entry_id)
        order = self._orders[stake.tenant]
        del order[entry_id]
        if not order:
            del self._orders[stake.tenant]
        self._weigh(stake.tenant, -stake.weight)

    def use(self, entry_id: str) -> None:
        self._orders[self._stakes[entry_id].tenant].move_to_end(entry_id)

    def surplus(self, bytes_max: int, incoming: Stake | None = None, leaving: Collection[str] = ()) -> list[str]:
        """What must go, so that the room is enough once `leaving` have left and `incoming` has come: `incoming` itself
        if its tenant holds most and has nothing else."""
        moved: Counter[str] = Counter()
        for entry_id in leaving:
            moved[self._stakes[entry_id].tenant] -= self._stakes[entry_id].weight
        if incoming is not None:
            moved[incoming.tenant] += incoming.weight
        for tenant, weight in moved.items():
            self._weigh(tenant, weight)
        chosen: list[str] = []
        orders: dict[str, Iterator[Stake]] = {}
        while self.bytes > bytes_max:
            tenant = self._most()
            if tenant not in orders:
                orders[tenant] = self._order(tenant, incoming, leaving)
            stake = next(orders[tenant])
            chosen.append(stake.entry_id)
            moved[tenant] -= stake.weight
            self._weigh(tenant, -stake.weight)
        for tenant, weight in moved.items():  # it was only thought through
            self._weigh(tenant, -weight)
        return chosen

    def check(self) -> bool:
        """Whether the sums are those of the entries."""
        held: Counter[str] = Counter()
        for stake in self._stakes.values():
            held[stake.tenant] += stake.weight
        orders = {entry_id for order in self._orders.values() for entry_id in order}
        return +held == +self._held and held.total() == self.bytes and orders == self._stakes.keys()

    def _order(self, tenant: str, incoming: Stake | None, leaving: Collection[str]) -> Iterator[Stake]:
        """The tenant's entries as they are to go."""
        for entry_id in self._orders.get(tenant, ()):
            if entry_id not in leaving:
                yield self._stakes[entry_id]
        if incoming is not None:
            yield incoming

    def _weigh(self, tenant: str, weight: int) -> None:
        self.bytes += weight
        self._held[tenant] += weight
        if not self._held[tenant]:
            del self._held[tenant]
            return
        heapq.heappush(self._heaviest, (-self._held[tenant], tenant))
        if len(self._heaviest) > 2 * len(self._held) + 100:
            self._heaviest = [(-held, each) for each, held in self._held.items()]
            heapq.heapify(self._heaviest)

    def _most(self) -> str:
        """Who holds most; of equals, the first by name."""
        while (top := self._heaviest[0]) and self._held.get(top[1]) != -top[0]:
            heapq.heappop(self._heaviest)
        return top[1]
