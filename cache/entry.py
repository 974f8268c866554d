"""One stored answer, and its versioned bytes on disk. Pure.

`Entry` is what a store keeps in memory to decide by; `Record` is an entry with everything that
belongs to it. The codec carries a checksum: bytes that are not exactly what was written raise
`CorruptRow` and are never served. Nothing here is ever unpickled.
"""

import hashlib
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Self

import numpy as np
import orjson
from numpy.typing import NDArray

from cache.errors import CorruptRow

Vectors = NDArray[np.float32]  # (pictures, dim), rows of unit length

_MAGIC = b"LKA1"
_CHECKSUM_BYTES = 16


@dataclass(frozen=True, slots=True)
class Entry:
    """What there is to know of a stored answer without reading the answer."""

    id: str
    partition: str
    exact: str
    pixel: str
    dialect: str
    model: str
    created_s: float  # Unix time, seconds
    expires_s: float
    upstream_s: float  # what the upstream took for it
    tokens_in: int | None  # None: the upstream did not say
    tokens_out: int | None
    streamed: bool  # recorded from a stream
    space: str | None  # key of the embedding space; None: stored without vectors
    sizes: tuple[tuple[int, int], ...]  # upright (width, height) of each picture, pixels
    # By what an operator finds it again (marks.py); no lookup goes by these.
    tenant: str = ""
    prompts: tuple[str, ...] = ()
    files: tuple[str, ...] = ()  # of each picture
    pixels: tuple[str, ...] = ()

    def age_s(self, now_s: float) -> float:
        return max(0.0, now_s - self.created_s)

    def fresh(self, now_s: float) -> bool:
        return now_s < self.expires_s


_FIELDS = {field.name for field in fields(Entry)}
_WORDS = ("prompts", "files", "pixels")
_TEXTS = ("id", "partition", "exact", "pixel", "dialect", "model", "tenant")
_SECONDS = ("created_s", "expires_s", "upstream_s")
_TOKENS = ("tokens_in", "tokens_out")


@dataclass(frozen=True, slots=True, eq=False)
class Record:
    """An entry with its reply, its vectors and what the guard needs of each picture later."""

    entry: Entry
    reply: bytes
    vectors: Vectors | None  # None exactly if entry.space is None
    evidence: tuple[bytes, ...]  # one per picture, or empty

    def without_looks(self) -> Self:
        """Without anything that can show a picture: vectors of low frequencies are a thumbnail."""
        return type(self)(replace(self.entry, space=None), self.reply, None, ())

    def with_entry(self, entry: Entry) -> Self:
        return type(self)(entry, self.reply, self.vectors, self.evidence)


def pack_head(entry: Entry, vectors: Vectors | None) -> bytes:
    """Bytes of an entry and its vectors: the row that a store reads back when it opens."""
    shape = None if vectors is None else list(vectors.shape)
    raw = b"" if vectors is None else np.ascontiguousarray(vectors, "<f4").tobytes()
    return pack({"entry": asdict(entry), "vectors": shape}, raw)


def unpack_head(data: bytes) -> tuple[Entry, Vectors | None]:
    """The reverse of `pack_head`. Raises CorruptRow."""
    head, raw = unpack(data)
    try:
        if set(head["entry"]) != _FIELDS:
            raise CorruptRow("a row of another version: its fields are not this version's")
        values = dict(head["entry"], sizes=tuple((width, height) for width, height in head["entry"]["sizes"]))
        values |= {name: tuple(values[name]) for name in _WORDS}
        _check(values)
        return Entry(**values), _vectors(head["vectors"], raw)
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise CorruptRow(f"not an entry: {error}") from error


def _check(values: dict[str, Any]) -> None:
    """That every field is of its type: the checksum is no signature, and one row must not keep a store from opening."""
    kinds = {name: {type(values[name])} for name in _FIELDS}
    right = (
        all(kinds[name] == {str} for name in _TEXTS)
        and all(kinds[name] <= {int, float} for name in _SECONDS)
        and all(kinds[name] <= {int, type(None)} for name in _TOKENS)
        and kinds["space"] <= {str, type(None)}
        and kinds["streamed"] == {bool}
        and all(type(word) is str for name in _WORDS for word in values[name])
        and all(type(side) is int and side > 0 for size in values["sizes"] for side in size)
    )
    if not right:
        raise CorruptRow("not an entry: a field is of another type")


def _vectors(shape: Any, raw: bytes) -> Vectors | None:
    if shape is None:
        return None
    pictures, dim = shape
    vectors = np.frombuffer(raw, "<f4").reshape(pictures, dim).astype(np.float32)
    if not vectors.size or not np.isfinite(vectors).all():
        raise CorruptRow("not vectors")
    return vectors


def pack(head: dict[str, Any], blob: bytes = b"") -> bytes:
    """magic | checksum | length of head | head as JSON | blob."""
    text = orjson.dumps(head)
    rest = len(text).to_bytes(4, "big") + text + blob
    return _MAGIC + _checksum(rest) + rest


def unpack(data: bytes) -> tuple[dict[str, Any], bytes]:
    """The reverse of `pack`. Raises CorruptRow unless the bytes are exactly what `pack` made."""
    start = len(_MAGIC) + _CHECKSUM_BYTES
    if data[: len(_MAGIC)] != _MAGIC:
        raise CorruptRow("not a row of this version")
    rest = data[start:]
    if len(rest) < 4 or _checksum(rest) != data[len(_MAGIC) : start]:
        raise CorruptRow("checksum does not match")
    length = int.from_bytes(rest[:4], "big")
    try:
        head = orjson.loads(rest[4 : 4 + length])
    except orjson.JSONDecodeError as error:  # the checksum is no signature: anyone can write a row that passes it
        raise CorruptRow(f"the head is not JSON: {error}") from error
    if not isinstance(head, dict):
        raise CorruptRow("the head is not an object")
    return head, rest[4 + length :]


def _checksum(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=_CHECKSUM_BYTES).digest()
