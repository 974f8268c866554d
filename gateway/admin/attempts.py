"""Wrong tokens by address, so that nobody can guess on. No I/O; the clock is the caller's."""

import ipaddress
from collections import OrderedDict, deque

ATTEMPTS_MOST = 10
WITHIN_S = 300.0
# Addresses that are remembered; of a flood from more, the oldest are forgotten first.
_ADDRESSES_MOST = 10_000


class Attempts:
    def __init__(self) -> None:
        self._failed: OrderedDict[str, deque[float]] = OrderedDict()

    def wait_s(self, address: str, now_s: float) -> float:
        """Seconds until this address may try again; 0 if it may now."""
        failed = self._failed.get(_network(address), deque())
        if len(failed) < ATTEMPTS_MOST:
            return 0.0
        return max(0.0, failed[0] + WITHIN_S - now_s)

    def failed(self, address: str, now_s: float) -> None:
        network = _network(address)
        self._failed.setdefault(network, deque(maxlen=ATTEMPTS_MOST)).append(now_s)
        self._failed.move_to_end(network)
        while len(self._failed) > _ADDRESSES_MOST:
            self._failed.popitem(last=False)


def _network(address: str) -> str:
    """Whoever has one IPv6 address has 2^64 of them."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    return str(ipaddress.ip_network((parsed, 64), strict=False)) if parsed.version == 6 else address
