import pytest

from cache.forget import Showing, Sought, showing
from cache.lookup import Embedded
from tests.cache.test_lookup import CARD, DIRECTIONS, OTHER, RECODED, REDRAWN, Guarding, holding, stored, view

pytestmark = pytest.mark.anyio


def sought(name: str) -> Sought:
    return Sought(f"file {name}", f"pixels {name}", Embedded("space", DIRECTIONS[name], 0.9), view(name))


async def test_bytes_pixels_and_copies_in_any_question_and_at_any_place() -> None:
    store = await holding(
        stored(CARD, files=(f"file {CARD}",)),
        stored("far", CARD, name="pixels", files=("x", "y"), pixels=("z", f"pixels {CARD}"), partition="another"),
        stored(RECODED, partition="a third"),
        stored("far", REDRAWN, partition="a fourth"),
        stored(OTHER),
        stored("far"),
        stored(REDRAWN, name="blind", space="another space"),
    )
    found = await showing(store, sought(CARD), Guarding())

    assert found == Showing(
        bytes=frozenset((f"id-{CARD}",)),
        pixels=frozenset(("id-pixels",)),
        near=frozenset((f"id-{RECODED}", f"id-far, {REDRAWN}")),
        not_comparable=1,
    )
    assert len(found.ids) == 4


async def test_without_looks_only_bytes_and_pixels_tell() -> None:
    store = await holding(stored(CARD, files=("f",)), stored(RECODED, pixels=("p",)), stored(REDRAWN))
    found = await showing(store, Sought("f", "p", None, None), Guarding())

    assert (found.bytes, found.pixels, found.near) == ({f"id-{CARD}"}, {f"id-{RECODED}"}, frozenset())
    assert found.not_comparable == 1


async def test_an_entry_without_a_mark_is_not_taken_for_a_picture_without_one() -> None:
    found = await showing(await holding(stored(CARD)), Sought("f", None, None, None), Guarding())

    assert found.ids == frozenset()


async def test_an_entry_whose_evidence_is_gone_is_not_compared() -> None:
    found = await showing(await holding(stored(CARD, evidence=())), sought(RECODED), Guarding())

    assert found.near == frozenset()


async def test_a_copy_goes_and_another_digit_stays() -> None:
    found = await showing(await holding(stored(CARD), stored(OTHER)), sought(REDRAWN), Guarding())

    assert found.near == {f"id-{CARD}"}
