"""Rows of the store and evidence of the guard, as bytes that somebody else may have written.

Only `CorruptRow` (`ValueError` for evidence) is raised; what is read is of the types that it says, and comes back as
it was. Each input is taken as a row, and as the JSON and the blob of one whose checksum is right: that is no signature.
"""

import contextlib
import dataclasses
import hashlib
import typing
from collections.abc import Callable
from typing import Any

import numpy as np
import orjson

from cache import guard
from cache.entry import Entry, Record, pack, pack_head, unpack, unpack_head
from cache.errors import CorruptRow
from cache.stores.apart import Pair
from cache.stores.coding import head_row, parted, unpack_head_row
from gateway import capture
from gateway.question import Reply
from tests.cache.test_entry import ENTRY, VECTORS
from tests.cache.test_guard import page, scene, view
from tests.fuzz.target import Check, Target

_CHECKSUM_BYTES = 16
_TYPES = typing.get_type_hints(Entry)
_RECORD = Record(ENTRY, capture.pack(Reply({"choices": []}, ({"a": 1},))), VECTORS, (b"one", b"two"))


def _signed(data: bytes, nested: bool) -> bytes:
    """A row with a checksum that is right: of a line of JSON and, after it, a blob, which may be such a row again."""
    text, _, blob = data.partition(b"\n")
    rest = len(text).to_bytes(4, "big") + text + (_signed(blob, False) if nested else blob)
    return b"LKA1" + hashlib.blake2b(rest, digest_size=_CHECKSUM_BYTES).digest() + rest


def _apart(row: bytes, nested: bool) -> bytes:
    """The reverse of `_signed`."""
    head, blob = unpack(row)
    return orjson.dumps(head) + b"\n" + (_apart(blob, False) if nested else blob)


def _row(holds: Callable[[bytes], None], nested: bool = False) -> Callable[[bytes], None]:
    """The check over the row that an input is, and over the row that is made of it."""

    def both(data: bytes) -> None:
        for row in (data, _signed(data, nested)):
            with contextlib.suppress(CorruptRow):
                holds(row)

    return both


def a_row(row: bytes) -> None:
    head, blob = unpack(row)
    assert unpack(pack(head, blob)) == (head, blob)


def a_head(row: bytes) -> None:
    entry, vectors = unpack_head(row)
    for name, kind in _TYPES.items():
        assert _is(getattr(entry, name), kind), name
    again, again_vectors = unpack_head(pack_head(entry, vectors))
    assert again == entry
    assert (vectors is None) == (again_vectors is None)
    if vectors is not None and again_vectors is not None:
        assert vectors.ndim == 2
        assert vectors.size
        assert np.isfinite(vectors).all()
        assert np.array_equal(vectors, again_vectors)


def _is(value: Any, kind: Any) -> bool:
    """Whether a value is of an annotated type, as far as Entry uses them."""
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if origin is tuple:
        each = inner[:1] * len(value) if inner[-1] is Ellipsis else inner
        return isinstance(value, tuple) and len(each) == len(value) and all(map(_is, value, each))
    if inner:
        return any(_is(value, one) for one in inner)
    if kind is float:
        return isinstance(value, int | float) and not isinstance(value, bool) and bool(np.isfinite(value))
    return type(value) is kind


def a_head_row(row: bytes) -> None:
    head = unpack_head_row(row, ENTRY.id)
    assert head.entry.id == ENTRY.id
    assert min(head.weight, head.evidence) >= 0


def parts(row: bytes) -> None:
    found = parted(row)
    assert b"".join(found) == unpack(row)[1]


def a_stored_reply(row: bytes) -> None:
    reply = capture.unpack(row)
    assert isinstance(reply.body, dict)
    assert all(isinstance(chunk, dict) for chunk in reply.chunks)
    assert capture.unpack(capture.pack(reply)) == reply


def a_pair(row: bytes) -> None:
    pair = Pair.from_head(unpack(row)[0])
    assert Pair.from_head(pair.to_head()) in (pair, dataclasses.replace(pair, one=pair.other, other=pair.one))


def evidence(data: bytes) -> None:
    try:
        found = guard.decode(data)
    except ValueError:
        return
    assert max(found.rgb.shape[:2]) <= guard.VIEW_SIDE_MAX
    again = guard.decode(guard.encode(found))
    assert (again.width, again.height) == (found.width, found.height)


def target() -> Target:
    kept = [guard.encode(view(drawn)) for drawn in (page(), scene())]
    small = [guard.encode(view(drawn.resize((120, 90)))) for drawn in (page(), scene())]
    rows: dict[str, tuple[Callable[[bytes], None], bytes]] = {
        "row": (a_row, pack({"a": [1, None]}, b"blob")),
        "head": (a_head, pack_head(ENTRY, VECTORS)),
        "head row": (a_head_row, head_row(_RECORD, 7)),
        "parts": (parts, pack({"lengths": [3, 3]}, b"onetwo")),
        "stored reply": (a_stored_reply, _RECORD.reply),
        "pair": (a_pair, pack({"one": ["a"], "other": ["b", "c"]})),
    }
    checks = [
        Check(name, _row(holds, name == "head row"), [row, _apart(row, name == "head row")])
        for name, (holds, row) in rows.items()
    ]
    return Target("codec", [*checks, Check("evidence", evidence, [*small, *kept])], bytes_max=65_536)
