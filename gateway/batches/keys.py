"""The credentials that open batches are asked with: in memory alone, and no longer than they are needed.

A restart forgets them. A batch then waits until its owner calls again, whatever is called for.
"""

from collections.abc import Collection

from gateway import headers
from gateway.tenants import digest

Fields = tuple[tuple[bytes, bytes], ...]


class Keys:
    """By tenant's digest. That of callers without any credential is always known: there is nothing to know."""

    def __init__(self, secret: bytes) -> None:
        self._nobody = digest(secret, headers.credential([]))
        self._known: dict[str, Fields] = {}

    def __repr__(self) -> str:
        return f"Keys({len(self._known)})"  # never what they are

    def of(self, tenant: str) -> Fields | None:
        return () if tenant == self._nobody else self._known.get(tenant)

    def learn(self, tenant: str, fields: headers.Raw) -> bool:
        """From a request of this tenant. Whether it was not known before."""
        if self.of(tenant) is not None:
            return False
        self._known[tenant] = tuple(headers.credentials(fields))
        return True

    def keep_only(self, tenants: Collection[str]) -> None:
        """Forget all others."""
        self._known = {tenant: fields for tenant, fields in self._known.items() if tenant in tenants}
