"""An archive is read back as it was written, or not at all."""

from io import BytesIO
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cache.archive import MAGIC, About, Damaged, End, Part, Writer, _prefix, looks_like, read
from cache.entry import Record, pack
from cache.stores.apart import Pair
from tests.contracts.store_contract import pictures, record, unit

ABOUT = About(bytes(range(32)), 1_700_000_000.5, 3, without_looks=False)
PAIRS = [Pair(frozenset({"a", "b"}), frozenset({"c"})), Pair(frozenset({"d"}), frozenset({"e"}))]
RECORDS = [
    record("one", unit(1), reply=b"\x00\xffanswer"),
    record("two", evidence=(), reply=b""),
    record("three", pictures(unit(1), unit(0, 1)), evidence=(b"", b"x" * 3000), sizes=((1, 2), (3, 4))),
]


def written(about: About = ABOUT, pairs: list[Pair] = PAIRS, records: list[Record] = RECORDS) -> bytes:
    file = BytesIO()
    writer = Writer(file, about)
    for pair in pairs:
        writer.pair(pair)
    for each in records:
        writer.entry(each)
    writer.end()
    return file.getvalue()


WHOLE = written()


def parts(data: bytes) -> list[Part]:
    return list(read(BytesIO(data)))


def plain(each: Record) -> Any:
    return each.entry, each.reply, None if each.vectors is None else each.vectors.tolist(), each.evidence


def test_what_was_written_comes_back() -> None:
    about, *middle, end = parts(WHOLE)

    assert about == ABOUT
    assert middle[:2] == PAIRS
    assert [plain(each) for each in middle[2:] if isinstance(each, Record)] == [plain(each) for each in RECORDS]
    assert isinstance(end, End)
    assert (end.entries, end.apart, len(end.sha256)) == (3, 2, 64)


def test_an_empty_store_is_an_archive_too() -> None:
    assert len(parts(written(pairs=[], records=[]))) == 2


def test_every_truncation_is_refused() -> None:
    for length in range(len(WHOLE)):
        with pytest.raises(Damaged):
            parts(WHOLE[:length])


@given(st.integers(0, len(WHOLE) - 1), st.integers(1, 255))
def test_any_flipped_byte_is_refused(at: int, by: int) -> None:
    changed = bytearray(WHOLE)
    changed[at] ^= by

    with pytest.raises(Damaged):
        parts(bytes(changed))


@given(st.binary(min_size=1, max_size=40))
def test_whatever_stands_after_the_end_is_refused(more: bytes) -> None:
    with pytest.raises(Damaged):
        parts(WHOLE + more)


@given(st.binary(max_size=300))
def test_arbitrary_bytes_are_refused_and_nothing_else_is_raised(data: bytes) -> None:
    for beginning in (b"", MAGIC):
        with pytest.raises(Damaged):
            parts(beginning + data)


@given(st.lists(st.sampled_from(range(6)), max_size=8))
def test_records_that_were_moved_dropped_or_repeated_are_refused(order: list[int]) -> None:
    """Each of them is sound in itself: the digest and the counts at the end tell."""
    ends = [len(MAGIC)]
    while ends[-1] < len(WHOLE):
        ends.append(ends[-1] + 16 + int.from_bytes(WHOLE[ends[-1] : ends[-1] + 8], "big"))
    about, *middle, end = [WHOLE[start:stop] for start, stop in pairwise(ends)]
    if (shuffled := [middle[at] for at in order if at < len(middle)]) == middle:
        return

    with pytest.raises(Damaged):
        parts(MAGIC + about + b"".join(shuffled) + end)


def test_an_archive_of_another_version_or_another_store_format_is_refused_in_words() -> None:
    with pytest.raises(Damaged, match="another version"):
        parts(WHOLE.replace(MAGIC, b"lookalike-archive 9\n", 1))
    other = pack({"kind": "about", "store": "lookalike-store 99\n", "secret": "", "made_s": 0, "entries": 0})
    with pytest.raises(Damaged, match="lookalike-store 99"):
        parts(MAGIC + _prefixed(other))


@pytest.mark.parametrize(
    ("head", "blob"),
    [
        ({"kind": "entry", "lengths": [2, 3]}, b"abcde"),
        ({"kind": "entry", "lengths": [-1, 6]}, b"abcde"),
        ({"kind": "entry", "lengths": []}, b""),
        ({"kind": "entry", "lengths": "no"}, b""),
        ({"kind": "entry"}, b""),
        ({"kind": "apart", "one": "a", "other": ["b"]}, b""),
        ({"kind": "../../etc/passwd"}, b""),
        ({"kind": "about"}, b""),
        ({}, b""),
    ],
)
def test_a_record_that_checks_and_makes_no_sense_is_refused(head: dict[str, Any], blob: bytes) -> None:
    beginning = written(pairs=[], records=[])
    about = beginning[: len(MAGIC) + 16 + int.from_bytes(beginning[len(MAGIC) : len(MAGIC) + 8], "big")]

    with pytest.raises(Damaged):
        parts(about + _prefixed(pack(head, blob)))


def test_vectors_that_are_no_numbers_are_refused() -> None:
    vectors = np.full((1, 16), np.nan, np.float32)

    with pytest.raises(Damaged):
        parts(written(records=[record("nan", vectors)]))


def test_an_archive_is_told_by_its_beginning_and_no_table_is_taken_for_one() -> None:
    assert looks_like(WHOLE[:64])
    assert looks_like(b"lookalike-archive 2\n" + bytes(44))
    assert not looks_like(b"picture,prompt,answer\n")


def _prefixed(data: bytes) -> bytes:
    return _prefix(len(data)) + data


@pytest.mark.parametrize(
    "fields",
    [
        {"id": "a\r\nset-cookie: x"},
        {"id": "../../etc/passwd"},
        {"id": ""},
        {"id": 3},
        {"model": None},
        {"created_s": "now"},
        {"expires_s": None},
        {"expires_s": True},
        {"tokens_in": 1.5},
        {"streamed": 1},
        {"sizes": ((1, 2), (3, 4))},
    ],
)
def test_an_entry_that_no_store_would_have_written_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(Damaged):
        parts(written(records=[record("odd", unit(1), **fields)]))
