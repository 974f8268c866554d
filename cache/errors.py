"""Faults of the cache. None of them may reach a client: gateway/plan.py turns each into a miss.

CacheFault
├── StoreFault      the store could not do what was asked (disk, database, index)
│   └── CorruptRow  a row whose bytes are not what was written; set aside, never served
└── StoreBusy       another process owns the directory; only ever raised while opening
"""


class CacheFault(Exception):
    """Base of everything the cache raises on its own account."""


class StoreFault(CacheFault):
    """The store failed at its work."""


class CorruptRow(StoreFault):
    """A stored row does not decode to what was written."""


class StoreBusy(CacheFault):
    """The store's directory is owned by another living process."""
