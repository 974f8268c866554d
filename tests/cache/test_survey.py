"""Candidates down to the floor, as the ladder would meet them at any threshold."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cache.lookup import Exact, Miss, Near, Rung, climb
from cache.survey import MARGIN, Survey, survey
from cache.verdict import Different, Doubt, Same
from tests.cache.test_lookup import (
    ALIKE,
    CARD,
    OTHER,
    RECODED,
    REDRAWN,
    Guarding,
    HandMadeLooks,
    asked,
    holding,
    never,
    stored,
    terms,
)
from tests.contracts.store_contract import pictures, unit
from tests.examples import examples

pytestmark = pytest.mark.anyio

BELOW = pictures(unit(1, ((ALIKE - MARGIN / 2) ** -2 - 1) ** 0.5))  # between the threshold and the floor
MISSED = Miss(Doubt.NEW_PICTURE)


async def surveyed(*records: object, under: object = None, found: object = MISSED, name: str = CARD) -> Survey | None:
    store = await holding(*records)  # type: ignore[arg-type]
    return await survey(store, asked(name), HandMadeLooks(name), found, under or terms(), Guarding())  # type: ignore[arg-type]


async def test_a_candidate_below_the_threshold_and_above_the_floor_is_weighed() -> None:
    kept = replace(stored(RECODED), vectors=BELOW)
    looked = await surveyed(kept)

    assert looked is not None
    assert (looked.space, looked.threshold) == ("space", ALIKE)
    [one] = looked.weighed
    assert (kept.entry, isinstance(one.verdict, Same)) == (one.entry, True)
    assert ALIKE - MARGIN < one.similarity < ALIKE


async def test_below_the_floor_nothing_is_weighed() -> None:
    far = replace(stored(RECODED), vectors=pictures(unit(1, ((ALIKE - MARGIN - 0.01) ** -2 - 1) ** 0.5)))
    looked = await surveyed(far)

    assert looked is not None
    assert looked.weighed == ()


async def test_below_what_the_request_demands_nothing_is_weighed() -> None:
    looked = await surveyed(stored(RECODED), under=terms(floor=0.999))  # at 0.995 from the card

    assert looked == Survey("space", ALIKE, ())


async def test_a_stricter_guard_counts_for_the_survey_as_for_the_ladder() -> None:
    strict = replace(terms(), guard_limit=1e-9)
    looked = await surveyed(stored(RECODED), under=strict)

    assert looked is not None
    assert [one.verdict.doubt for one in looked.weighed if isinstance(one.verdict, Different)] == [Doubt.GUARD_LIMIT]


async def test_a_look_alike_is_weighed_with_the_guards_reason() -> None:
    looked = await surveyed(stored(OTHER))

    assert looked is not None
    assert looked.threshold == ALIKE
    assert [one.verdict.doubt for one in looked.weighed if isinstance(one.verdict, Different)] == [Doubt.LOCAL_CHANGE]


async def test_an_entry_that_the_caller_may_not_have_is_named_and_not_compared() -> None:
    looked = await surveyed(stored(RECODED), under=terms(Rung.NEAR, never(Doubt.STALE)))

    assert looked is not None
    assert [one.verdict for one in looked.weighed] == [Different(Doubt.STALE)]


@pytest.mark.parametrize(
    "found",
    [
        Exact(stored(CARD).entry, b""),
        Miss(Doubt.FIRST_ASKED),
        Miss(Doubt.RUNG_FORBIDDEN),
        Miss(Doubt.STALE),
        Miss(Doubt.EMBEDDER_BUSY),
        Miss(Doubt.NO_PLAIN_VIEW),
    ],
)
async def test_where_the_ladder_compared_no_vectors_there_is_nothing_to_survey(found: object) -> None:
    assert await surveyed(stored(RECODED), found=found) is None


async def test_without_an_embedder_there_is_no_survey() -> None:
    store, looks = await holding(stored(RECODED)), HandMadeLooks(CARD, ready=False)

    assert await survey(store, asked(CARD), looks, MISSED, terms(), Guarding()) is None


@examples(25)
@given(st.permutations([RECODED, REDRAWN, OTHER]), st.floats(ALIKE, 1.0))
async def test_the_first_accepted_candidate_at_a_threshold_is_what_the_ladder_serves_there(
    names: list[str], threshold: float
) -> None:
    store = await holding(*(stored(name) for name in names))
    looked = await survey(store, asked(CARD), HandMadeLooks(CARD), MISSED, terms(), Guarding())
    served = await climb(store, asked(CARD), HandMadeLooks(CARD), terms(floor=threshold), Guarding())
    assert looked is not None
    accepted = [one for one in looked.weighed if one.similarity >= threshold and isinstance(one.verdict, Same)]

    assert [one.entry.id for one in accepted[:1]] == ([served.entry.id] if isinstance(served, Near) else [])
