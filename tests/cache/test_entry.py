import dataclasses

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cache.entry import Entry, Record, pack, pack_head, unpack, unpack_head
from cache.errors import CorruptRow

ENTRY = Entry("id", "p", "e", "x", "openai-chat", "m", 1.5, 9.25, 0.5, None, 7, True, "space", ((640, 480), (3, 4)))
VECTORS = np.random.default_rng(0).standard_normal((2, 5), dtype=np.float32)

_SECONDS = st.floats(0, 1e12)
_COUNT = st.none() | st.integers(0, 10**9)
ENTRIES = st.builds(
    Entry,
    **{name: st.text(max_size=70) for name in ("id", "partition", "exact", "pixel", "dialect", "model")},
    created_s=_SECONDS,
    expires_s=_SECONDS,
    upstream_s=_SECONDS,
    tokens_in=_COUNT,
    tokens_out=_COUNT,
    streamed=st.booleans(),
    space=st.none() | st.text(max_size=20),
    sizes=st.lists(st.tuples(st.integers(1, 10**5), st.integers(1, 10**5)), max_size=4).map(tuple),
)


@given(entry=ENTRIES, pictures=st.integers(0, 4), dim=st.integers(1, 9))
def test_a_head_comes_back_as_it_was(entry: Entry, pictures: int, dim: int) -> None:
    vectors = np.random.default_rng(dim).standard_normal((pictures, dim), dtype=np.float32) if pictures else None
    found, found_vectors = unpack_head(pack_head(entry, vectors))

    assert found == entry
    if vectors is None:
        assert found_vectors is None
    else:
        assert found_vectors is not None
        assert found_vectors.dtype == np.float32
        assert found_vectors.flags.writeable  # a copy: it does not keep the row it came from
        np.testing.assert_array_equal(vectors, found_vectors)


@given(head=st.dictionaries(st.text(), st.integers(0, 99) | st.text()), blob=st.binary())
def test_a_row_comes_back_as_it_was(head: dict[str, object], blob: bytes) -> None:
    assert unpack(pack(head, blob)) == (head, blob)


def test_any_flipped_bit_is_noticed() -> None:
    row = pack_head(ENTRY, VECTORS)
    for place in range(len(row)):
        for bit in range(8):
            damaged = row[:place] + bytes([row[place] ^ 1 << bit]) + row[place + 1 :]
            with pytest.raises(CorruptRow):
                unpack_head(damaged)


def test_any_cut_or_added_byte_is_noticed() -> None:
    row = pack_head(ENTRY, VECTORS)
    for length in range(len(row)):
        with pytest.raises(CorruptRow):
            unpack_head(row[:length])
    with pytest.raises(CorruptRow):
        unpack_head(row + b"\x00")


@given(data=st.binary(max_size=200))
def test_foreign_bytes_are_corrupt_and_nothing_worse(data: bytes) -> None:
    with pytest.raises(CorruptRow):
        unpack_head(data)
    with pytest.raises(CorruptRow):
        unpack_head(b"LKA1" + data)


def test_another_version_is_corrupt() -> None:
    row = pack_head(ENTRY, VECTORS)
    with pytest.raises(CorruptRow, match="version"):
        unpack_head(b"LKA2" + row[4:])


def head(**changes: object) -> dict[str, object]:
    return {"entry": orjson.loads(orjson.dumps(dataclasses.asdict(ENTRY))) | changes, "vectors": [2, 5]}


@pytest.mark.parametrize("shape", [[2, 6], [3], "no", [None]])
def test_vectors_of_another_shape_are_corrupt(shape: object) -> None:
    with pytest.raises(CorruptRow):
        unpack_head(pack(head() | {"vectors": shape}, VECTORS.tobytes()))


def test_other_fields_are_corrupt() -> None:
    missing = head()
    assert isinstance(missing["entry"], dict)
    del missing["entry"]["model"]
    for wrong in (head(colour="red"), missing, {}, {"entry": None, "vectors": None}, head(sizes=[1, 2])):
        with pytest.raises(CorruptRow):
            unpack_head(pack(wrong, VECTORS.tobytes()))


@pytest.mark.parametrize(
    "odd",
    [
        {"id": 7},
        {"created_s": "1.5"},
        {"expires_s": None},
        {"upstream_s": True},
        {"tokens_in": 1.5},
        {"streamed": 1},
        {"space": 3},
        {"sizes": [[640, 0]]},
        {"sizes": [[640, 1e30]]},
        {"files": [1]},
        {"prompts": None},
    ],
)
def test_a_field_of_another_type_is_corrupt_whatever_the_checksum_says(odd: dict[str, object]) -> None:
    with pytest.raises(CorruptRow):
        unpack_head(pack(head(**odd), VECTORS.tobytes()))


def test_vectors_that_are_no_numbers_are_corrupt() -> None:
    with pytest.raises(CorruptRow):
        unpack_head(pack_head(ENTRY, np.full((2, 5), np.nan, np.float32)))


def test_age_and_freshness() -> None:
    assert ENTRY.age_s(3.5) == 2.0
    assert ENTRY.age_s(1.0) == 0.0  # a clock set back does not make an answer younger than new
    assert ENTRY.fresh(9.2)
    assert not ENTRY.fresh(9.25)


def test_with_entry_keeps_the_rest() -> None:
    record = Record(ENTRY, b"reply", VECTORS, (b"a", b"b"))
    other = record.with_entry(dataclasses.replace(ENTRY, id="other"))

    assert other.entry.id == "other"
    assert (other.reply, other.evidence) == (record.reply, record.evidence)
    assert other.vectors is record.vectors
