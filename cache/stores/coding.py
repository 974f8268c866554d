"""What the rows of a durable store hold, and how it becomes bytes and back. Pure."""

from dataclasses import dataclass
from itertools import pairwise

from cache.entry import Entry, Record, Vectors, pack, pack_head, unpack, unpack_head
from cache.errors import CorruptRow
from cache.keys import digest_bytes
from cache.stores.apart import Pair

APART = "apart"


@dataclass(frozen=True, slots=True)
class Head:
    """A head row, decoded."""

    entry: Entry
    vectors: Vectors | None
    weight: int  # bytes of everything that belongs to the entry, as the budget counts them
    evidence: int  # pieces of it
    packed_bytes: int  # of entry and vectors alone


def head_row(record: Record, weight: int) -> bytes:
    about = {"bytes": weight, "evidence": len(record.evidence)}
    return pack(about, pack_head(record.entry, record.vectors))


def unpack_head_row(data: bytes, entry_id: str) -> Head:
    """The reverse of `head_row`. Raises CorruptRow, as the others do."""
    about, packed = unpack(data)
    entry, vectors = unpack_head(packed)
    if entry.id != entry_id:
        raise CorruptRow("a head under another entry's key")
    try:
        head = Head(entry, vectors, int(about["bytes"]), int(about["evidence"]), len(packed))
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise CorruptRow(f"not a head: {error}") from error
    if min(head.weight, head.evidence) < 0:
        raise CorruptRow("not a head: less than nothing")
    return head


def parted(data: bytes) -> tuple[bytes, ...]:
    about, joined = unpack(data)
    try:
        ends = [0]
        for length in about["lengths"]:
            ends.append(ends[-1] + int(length))
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise CorruptRow(f"not evidence: {error}") from error
    if ends[-1] != len(joined) or any(end < start for start, end in pairwise(ends)):
        raise CorruptRow("evidence of another length")
    return tuple(joined[start:end] for start, end in pairwise(ends))


def key_of(pair: Pair) -> str:
    return f"{APART}/{digest_bytes(pack(pair.to_head()))}"
