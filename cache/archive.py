"""A store's answers as one file, by which they move to another machine. No path, no clock: streams of bytes only.

    magic | about | pair ... | entry ... | end

Each record is length-prefixed and checksummed as a row is (entry.py), and the end holds the digest of all that stands
before it: a file that is cut, changed or continued anywhere raises `Damaged`. The checksums are no signature: whoever
has the file can write another. Pairs that never answer each other stand first, so that no entry is ever taken without
them. Nothing is unpickled, and no name in here is ever a path.
"""

import hashlib
import math
import re
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, BinaryIO, Final

from cache.entry import Record, pack, pack_head, unpack, unpack_head
from cache.errors import CacheFault, CorruptRow
from cache.stores.apart import Pair
from cache.stores.base import refuse_unsound
from cache.stores.directory import FORMAT, SECRET_BYTES

_NAME: Final = b"lookalike-archive "
MAGIC: Final = _NAME + b"1\n"
_ID: Final = re.compile(r"[0-9A-Za-z-]{1,64}")  # it stands in a header field
_PREFIX: Final = struct.Struct(">Q8s")  # length of a record, and a checksum of that number: memory is taken by it


class Damaged(CacheFault):
    """Not an archive of this version, or not as it was written. The message is for people."""


@dataclass(frozen=True, slots=True)
class About:
    """What stands at the beginning. `secret` is the store's: keys mean nothing without it."""

    secret: bytes
    made_s: float  # Unix time
    entries: int  # as were to be written; what was, is in `End`
    without_looks: bool  # from a store that keeps nothing which can show a picture


@dataclass(frozen=True, slots=True)
class End:
    """What was written, and the SHA-256 of all of it."""

    entries: int
    apart: int
    sha256: str


Part = About | Pair | Record | End


class Writer:
    """Writes an archive to `file` from its beginning: pairs first, then entries, then `end`."""

    def __init__(self, file: BinaryIO, about: About) -> None:
        self._file = file
        self._sha = hashlib.sha256()
        self._entries = self._apart = 0
        self._put(MAGIC)
        head = {"store": FORMAT.decode(), "secret": about.secret.hex(), "made_s": about.made_s}
        self._record("about", {**head, "entries": about.entries, "without_looks": about.without_looks})

    def pair(self, pair: Pair) -> None:
        assert not self._entries
        self._record("apart", pair.to_head())
        self._apart += 1

    def entry(self, record: Record) -> None:
        parts = pack_head(record.entry, record.vectors), record.reply, *record.evidence
        self._record("entry", {"lengths": list(map(len, parts))}, b"".join(parts))
        self._entries += 1

    def end(self) -> End:
        end = End(self._entries, self._apart, self._sha.hexdigest())
        self._record("end", {"entries": end.entries, "apart": end.apart, "sha256": end.sha256})
        return end

    def _record(self, kind: str, head: dict[str, Any], blob: bytes = b"") -> None:
        data = pack({"kind": kind, **head}, blob)
        self._put(_prefix(len(data)))
        self._put(data)

    def _put(self, data: bytes) -> None:
        self._sha.update(data)
        self._file.write(data)


def looks_like(beginning: bytes) -> bool:
    """Whether a file with this beginning (64 bytes or more) is meant to be an archive, of whichever version."""
    return beginning.startswith(_NAME)


def read(file: BinaryIO, told: Callable[[int], None] = lambda size: None) -> Iterator[Part]:
    """Every part in its order, one in memory at a time; the last is an `End`. `told` hears how many bytes each took.
    Raises Damaged at the first place that is not as it was written: until the `End` came, nothing is certain."""
    sha = hashlib.sha256()
    if (magic := file.read(len(MAGIC))) != MAGIC:
        raise Damaged(_not_ours(magic))
    sha.update(magic)
    counts, before = {"apart": 0, "entry": 0}, "about"
    while True:
        so_far = sha.hexdigest()
        prefix, data = _next(file)
        sha.update(prefix)
        sha.update(data)
        told(len(prefix) + len(data))
        kind, part = _part(data)
        if kind not in _AFTER[before]:
            raise Damaged(f"the archive is damaged: a record of kind {kind!r} stands where none belongs")
        before = kind
        if isinstance(part, End):
            if part != End(counts["entry"], counts["apart"], so_far):
                raise Damaged("the archive is damaged: its digest or its counts are not those of what it holds")
            if file.read(1):
                raise Damaged("the archive is damaged: something stands after its end")
            yield part
            return
        if kind in counts:
            counts[kind] += 1
        yield part
        del part, data  # one record in memory, not two


# What may stand after what; `about` stands for the beginning, too.
_AFTER: Final = {
    "about": ("about", "apart", "entry", "end"),
    "apart": ("apart", "entry", "end"),
    "entry": ("entry", "end"),
}


def _next(file: BinaryIO) -> tuple[bytes, bytes]:
    prefix = file.read(_PREFIX.size)
    if len(prefix) < _PREFIX.size:
        raise Damaged("the archive is cut short: its end is missing")
    length, _ = _PREFIX.unpack(prefix)
    if prefix != _prefix(length):
        raise Damaged("the archive is damaged: the length of a record is not as it was written")
    data = file.read(length)
    if len(data) < length:
        raise Damaged("the archive is cut short: its last record is not whole")
    return prefix, data


def _prefix(length: int) -> bytes:
    return _PREFIX.pack(length, hashlib.blake2b(length.to_bytes(8, "big"), digest_size=8).digest())


def _part(data: bytes) -> tuple[str, Part]:
    try:
        head, blob = unpack(data)
        match head["kind"]:
            case "about":
                return "about", _about(head)
            case "apart":
                return "apart", Pair.from_head(head)
            case "entry":
                return "entry", _entry(head["lengths"], blob)
            case "end":
                return "end", End(int(head["entries"]), int(head["apart"]), str(head["sha256"]))
    except (CacheFault, KeyError, TypeError, ValueError) as error:
        raise Damaged(f"the archive is damaged: {error}") from error
    raise Damaged(f"the archive is of another version: it has a record of kind {str(head['kind'])[:40]!r}")


def _about(head: dict[str, Any]) -> About:
    if head["store"] != FORMAT.decode():
        was, ours = str(head["store"]).strip()[:40], FORMAT.decode().strip()
        raise Damaged(f"it was made from a {was}, and this version has a {ours}; use the version that made it")
    secret = bytes.fromhex(head["secret"])
    if len(secret) != SECRET_BYTES:
        raise CorruptRow("its secret has another length")
    return About(secret, float(head["made_s"]), int(head["entries"]), bool(head["without_looks"]))


def _entry(lengths: list[int], blob: bytes) -> Record:
    ends = [0]
    for length in lengths:
        ends.append(ends[-1] + int(length))
    if ends[-1] != len(blob) or min(lengths) < 0 or len(lengths) < 2:
        raise CorruptRow("an entry of another length")
    head, reply, *evidence = (blob[start:end] for start, end in pairwise(ends))
    entry, vectors = unpack_head(head)
    record = Record(entry, reply, vectors, tuple(evidence))
    refuse_unsound(record)
    if not _is_an_entry(record):
        raise CorruptRow("an entry whose values are not those of one")
    return record


def _is_an_entry(record: Record) -> bool:
    """Whether every value is of its kind. Rows of a store are its own; these may be anybody's, and one of another kind
    would be met when the store opens."""
    entry, pictures = record.entry, len(record.entry.sizes)
    texts = (entry.partition, entry.exact, entry.pixel, entry.dialect, entry.model, entry.tenant)
    times = (entry.created_s, entry.expires_s, entry.upstream_s)
    counts = (entry.tokens_in, entry.tokens_out)
    return (
        isinstance(entry.id, str)
        and _ID.fullmatch(entry.id) is not None
        and all(isinstance(text, str) for text in texts)
        and all(type(time) in (int, float) and math.isfinite(time) for time in times)
        and all(count is None or type(count) is int for count in counts)
        and isinstance(entry.streamed, bool)
        and (entry.space is None or isinstance(entry.space, str))
        and (record.vectors is None or len(record.vectors) == pictures)
        and len(record.evidence) in (0, pictures)
    )


def _not_ours(magic: bytes) -> str:
    if magic.startswith(_NAME):
        return "the archive is of another version, or damaged at its very beginning"
    return "this is no archive of lookalike's, or its beginning is missing"
