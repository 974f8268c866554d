from collections.abc import Callable
from dataclasses import replace
from functools import cache
from io import BytesIO
from typing import Any

import anyio
import pytest

from cache import guard
from cache.entry import Entry, Record
from cache.keys import Asked, digest_bytes
from cache.lookup import Embedded, Exact, Found, Miss, Near, Pixel, Rung, Sizes, Terms, climb
from cache.stores.apart import Pair
from cache.stores.memory import MemoryStore
from cache.verdict import Doubt, Verdict
from gateway.demo import cards
from gateway.pictures import Picture
from gateway.pictures import view as view_of_file
from tests.contracts.store_contract import Clock, pictures, record, unit

pytestmark = pytest.mark.anyio

# Three files of one card, and one of another card.
CARD, RECODED, REDRAWN, OTHER = "12.80 png", "12.80 jpeg", "12.80 jpeg again", "18.80 png"
DIRECTIONS = {CARD: unit(1), RECODED: unit(1, 0.1), REDRAWN: unit(1, 0.2), OTHER: unit(1, 0.05), "far": unit(0, 1)}
ALIKE = 0.9


@cache
def view(name: str) -> guard.View:
    price, form, *again = name.split() if name[0].isdigit() else ("99.99", "png")
    data = BytesIO()
    cards.draw(price).save(data, form.upper(), quality=70 if again else 85)
    seen = view_of_file(Picture(data.getvalue(), name))
    assert seen is not None
    return seen


def asked(*names: str) -> Asked:
    return Asked("question", "exact of " + ", ".join(names), "root")


class HandMadeLooks:
    """What a test says that the asked pictures look like; `taken` are the looks taken, in order."""

    def __init__(self, *names: str, plain: bool = True, ready: bool = True) -> None:
        self._names = names
        self._plain = plain
        self._ready = ready
        self.taken: list[str] = []

    async def sizes(self) -> Sizes:
        self.taken.append("sizes")
        return tuple((view(name).width, view(name).height) for name in self._names)

    async def pixels(self) -> tuple[str, ...]:
        self.taken.append("pixels")
        return tuple(digest_bytes(view(name).rgb.tobytes()) for name in self._names)

    async def views(self) -> tuple[guard.View, ...]:
        self.taken.append("views")
        return tuple(view(name) for name in self._names) if self._plain else ()

    async def embedded(self) -> Embedded | None:
        self.taken.append("embedded")
        vectors = pictures(*(DIRECTIONS[name] for name in self._names))
        return Embedded("space", vectors, ALIKE) if self._ready else None


class Guarding:
    """Runs the guard where it stands, and counts how often."""

    def __init__(self) -> None:
        self.runs = 0

    async def __call__(self, work: Callable[[], list[Verdict]]) -> list[Verdict]:
        self.runs += 1
        return work()


def never(doubt: Doubt) -> Callable[[Entry], Doubt | None]:
    return lambda entry: doubt


def always(entry: Entry) -> None: ...


def terms(highest: Rung = Rung.NEAR, fit: Callable[[Entry], Doubt | None] = always, floor: float = 0.0) -> Terms:
    return Terms(highest, floor, fit)


def stored(*names: str, name: str | None = None, **fields: Any) -> Record:
    looks = [view(each) for each in names]
    question = asked(*names)
    facts: dict[str, Any] = {
        "exact": question.exact,
        "pixel": question.pixel([digest_bytes(look.rgb.tobytes()) for look in looks]),
        "sizes": tuple((look.width, look.height) for look in looks),
        "evidence": tuple(guard.encode(look) for look in looks),
    }
    return record(name or ", ".join(names), pictures(*(DIRECTIONS[each] for each in names)), **(facts | fields))


async def holding(*records: Record) -> MemoryStore:
    store = MemoryStore(Clock(), 100_000_000)
    for each in records:
        await store.put(each)
    return store


async def look_up(store: MemoryStore, *names: str, under: Terms | None = None) -> Found:
    return await climb(store, asked(*names), HandMadeLooks(*names), under or terms(), Guarding())


# The rungs, from bottom to top


async def test_the_same_file_is_an_exact_hit_and_nothing_is_decoded() -> None:
    kept, looks = stored(CARD), HandMadeLooks(CARD)
    found = await climb(await holding(kept), asked(CARD), looks, terms(), Guarding())

    assert Exact(kept.entry, kept.reply) == found
    assert looks.taken == []


async def test_the_same_pixels_in_another_file_are_a_pixel_hit_and_nothing_is_embedded() -> None:
    kept, looks = stored(CARD), HandMadeLooks(CARD)
    question = replace(asked(CARD), exact="another file")
    found = await climb(await holding(kept), question, looks, terms(), Guarding())

    assert Pixel(kept.entry, kept.reply) == found
    assert looks.taken == ["sizes", "pixels"]


async def test_the_same_picture_encoded_again_is_a_near_hit() -> None:
    kept = stored(CARD)
    found = await look_up(await holding(kept), RECODED)
    assert isinstance(found, Near)
    assert (kept.entry, kept.reply) == (found.entry, found.reply)
    assert pytest.approx(1 / 1.01**0.5) == found.similarity
    assert 0 < found.score <= 1


async def test_an_exact_hit_comes_before_a_pixel_hit_and_that_before_a_near_one() -> None:
    exact, near = stored(CARD), stored(RECODED)
    pixel = stored(CARD, name="same pixels", exact="another file")
    store = await holding(exact, pixel, near)

    assert isinstance(await look_up(store, CARD), Exact)
    await store.remove(exact.entry.id)
    assert isinstance(await look_up(store, CARD), Pixel)
    await store.remove(pixel.entry.id)
    assert isinstance(await look_up(store, CARD), Near)
    await store.remove(near.entry.id)
    assert Miss(Doubt.FIRST_ASKED) == await look_up(store, CARD)


async def test_a_question_never_asked_before_costs_no_look_at_all() -> None:
    looks = HandMadeLooks(CARD)
    store = await holding(stored(CARD, partition="another"))

    assert Miss(Doubt.FIRST_ASKED) == await climb(store, asked(CARD, "x"), looks, terms(), Guarding())
    assert looks.taken == []


async def test_pixels_are_decoded_only_where_the_sizes_agree() -> None:
    looks = HandMadeLooks(RECODED)
    await climb(await holding(stored(CARD, sizes=((1, 1),))), asked(RECODED), looks, terms(), Guarding())

    assert looks.taken == ["sizes", "views", "embedded", "views"]


# What a person judged


def pair(one: str, other: str) -> Pair:
    """Two requests by the keys of both, as feedback knows them."""
    return Pair(*(frozenset((each.entry.exact, each.entry.pixel)) for each in (stored(one), stored(other))))


@pytest.mark.parametrize(("first", "then"), [(CARD, RECODED), (RECODED, CARD)])
async def test_two_pictures_judged_apart_never_answer_each_other_whichever_is_stored(first: str, then: str) -> None:
    store = await holding(stored(first))
    assert isinstance(await look_up(store, then), Near)
    await store.part(pair(CARD, RECODED))

    assert (refused := await look_up(store, then)) == Miss(Doubt.JUDGED_WRONG, refused.similarity)  # type: ignore[union-attr]
    await store.put(stored(first, name="stored anew"))
    assert isinstance(again := await look_up(store, then), Miss)
    assert again.doubt is Doubt.JUDGED_WRONG
    assert isinstance(await look_up(store, first), Exact)
    assert isinstance(await look_up(store, REDRAWN), Near)


async def test_the_same_pixels_in_another_file_are_judged_along() -> None:
    store, looks = await holding(stored(CARD)), HandMadeLooks(RECODED)
    await store.part(pair(CARD, RECODED))
    found = await climb(store, replace(asked(RECODED), exact="another file"), looks, terms(), Guarding())

    assert isinstance(found, Miss)
    assert found.doubt is Doubt.JUDGED_WRONG


async def test_a_judgement_says_nothing_about_another_picture_that_is_near() -> None:
    store = await holding(stored(CARD), stored(REDRAWN))
    await store.part(pair(CARD, RECODED))

    found = await look_up(store, RECODED)
    assert isinstance(found, Near)
    assert f"id-{REDRAWN}" == found.entry.id


async def test_an_answer_whose_row_is_gone_is_looked_for_further_up() -> None:
    class Forgetful(MemoryStore):
        async def reply(self, entry_id: str) -> bytes | None:
            return None if entry_id == f"id-{CARD}" else await super().reply(entry_id)

    store = Forgetful(Clock(), 100_000_000)
    for each in (stored(CARD), stored(RECODED)):
        await store.put(each)
    found = await look_up(store, CARD)

    assert isinstance(found, Near)
    assert f"id-{RECODED}" == found.entry.id


# The mode in force


@pytest.mark.parametrize(
    ("highest", "kinds"),
    [(Rung.EXACT, [Exact, Miss, Miss]), (Rung.PIXEL, [Exact, Pixel, Miss]), (Rung.NEAR, [Exact, Pixel, Near])],
)
async def test_a_mode_ends_the_ladder_at_its_rung(highest: Rung, kinds: list[type]) -> None:
    store, under, same_pixels = await holding(stored(CARD)), terms(highest), replace(asked(CARD), exact="another file")
    found = [
        await look_up(store, CARD, under=under),
        await climb(store, same_pixels, HandMadeLooks(CARD), under, Guarding()),
        await look_up(store, RECODED, under=under),
    ]

    assert kinds == [type(each) for each in found]
    assert {Doubt.RUNG_FORBIDDEN} >= {each.doubt for each in found if isinstance(each, Miss)}


@pytest.mark.parametrize(("highest", "taken"), [(Rung.EXACT, []), (Rung.PIXEL, ["sizes", "pixels"])])
async def test_a_forbidden_rung_costs_nothing(highest: Rung, taken: list[str]) -> None:
    looks = HandMadeLooks(RECODED)
    await climb(await holding(stored(CARD)), asked(RECODED), looks, terms(highest), Guarding())

    assert taken == looks.taken


# What one caller may have and another may not


@pytest.mark.parametrize("doubt", [Doubt.STALE, Doubt.NO_USAGE])
@pytest.mark.parametrize("highest", list(Rung))
async def test_an_answer_that_does_not_fit_this_caller_is_a_miss_for_that_reason(doubt: Doubt, highest: Rung) -> None:
    found = await look_up(await holding(stored(CARD)), CARD, under=terms(highest, never(doubt)))

    assert Miss(doubt) == found


async def test_where_the_very_pictures_are_stored_no_similar_ones_are_looked_for() -> None:
    looks = HandMadeLooks(CARD)
    under = terms(fit=lambda entry: Doubt.STALE if entry.id == f"id-{CARD}" else None)
    found = await climb(await holding(stored(CARD), stored(RECODED)), asked(CARD), looks, under, Guarding())

    assert Miss(Doubt.STALE) == found
    assert looks.taken == ["sizes", "pixels"]


async def test_an_answer_that_fits_is_found_behind_one_that_does_not() -> None:
    fitting = stored(CARD, name="fitting", exact="another file")
    under = terms(fit=lambda entry: None if entry.id == "id-fitting" else Doubt.NO_USAGE)

    assert Pixel(fitting.entry, fitting.reply) == await look_up(await holding(stored(CARD), fitting), CARD, under=under)


async def test_a_similar_answer_that_does_not_fit_is_passed_over() -> None:
    store = await holding(stored(CARD), stored(REDRAWN))
    found = await look_up(store, RECODED, under=terms(fit=lambda e: Doubt.STALE if e.id == f"id-{CARD}" else None))

    assert isinstance(found, Near)
    assert f"id-{REDRAWN}" == found.entry.id

    found = await look_up(store, RECODED, under=terms(fit=never(Doubt.NO_USAGE)))
    assert isinstance(found, Miss)
    assert Doubt.NO_USAGE is found.doubt


# The guard


async def test_another_picture_that_lies_near_is_refused_for_the_guards_reason() -> None:
    found = await look_up(await holding(stored(OTHER)), CARD)

    assert isinstance(found, Miss)
    assert Doubt.LOCAL_CHANGE is found.doubt
    assert pytest.approx(1 / 1.0025**0.5) == found.similarity


async def test_the_right_picture_is_found_behind_a_nearer_wrong_one() -> None:
    guarding, store = Guarding(), await holding(stored(OTHER), stored(RECODED))
    found = await climb(store, asked(CARD), HandMadeLooks(CARD), terms(), guarding)

    assert isinstance(found, Near)
    assert f"id-{RECODED}" == found.entry.id
    assert guarding.runs == 2


async def test_only_the_two_nearest_are_verified() -> None:
    guarding, looks = Guarding(), HandMadeLooks(CARD)
    wrong = [stored(OTHER, name=name, exact=name) for name in ("first", "second")]
    found = await climb(await holding(*wrong, stored(REDRAWN)), asked(CARD), looks, terms(), guarding)

    assert isinstance(found, Miss)
    assert Doubt.LOCAL_CHANGE is found.doubt
    assert guarding.runs == 2


async def test_an_entry_without_evidence_proves_nothing() -> None:
    found = await look_up(await holding(stored(CARD, evidence=())), RECODED)

    assert isinstance(found, Miss)
    assert Doubt.NEW_PICTURE is found.doubt


async def test_what_is_below_the_threshold_is_not_verified() -> None:
    guarding, store = Guarding(), await holding(stored("far"))

    assert Miss(Doubt.NEW_PICTURE) == await climb(store, asked(CARD), HandMadeLooks(CARD), terms(), guarding)
    assert guarding.runs == 0


async def test_a_floor_raises_the_embedders_threshold_and_never_lowers_it() -> None:
    store = await holding(stored(CARD))

    assert Miss(Doubt.NEW_PICTURE) == await look_up(await holding(stored("far")), CARD, under=terms(floor=0.01))

    assert isinstance(await look_up(store, RECODED, under=terms(floor=0.99)), Near)
    assert Miss(Doubt.NEW_PICTURE) == await look_up(store, RECODED, under=terms(floor=0.999))


async def test_a_score_above_the_limit_in_force_is_refused() -> None:
    store = await holding(stored(CARD))
    found = await look_up(store, RECODED)
    assert isinstance(found, Near)
    assert found.score > 0
    just_within = Terms(Rung.NEAR, 0.0, always, guard_limit=found.score)
    just_beyond = Terms(Rung.NEAR, 0.0, always, guard_limit=found.score * 0.99)

    assert found == await look_up(store, RECODED, under=just_within)
    assert Miss(Doubt.GUARD_LIMIT, found.similarity) == await look_up(store, RECODED, under=just_beyond)


async def test_without_a_plain_view_or_an_embedder_nothing_is_near() -> None:
    store = await holding(stored(CARD))
    deep, early = HandMadeLooks(RECODED, plain=False), HandMadeLooks(RECODED, ready=False)

    assert Miss(Doubt.NO_PLAIN_VIEW) == await climb(store, asked(RECODED), deep, terms(), Guarding())
    assert Miss(Doubt.EMBEDDER_NOT_READY) == await climb(store, asked(RECODED), early, terms(), Guarding())
    assert "embedded" not in deep.taken


# More than one picture


async def test_every_picture_of_a_request_must_be_the_same() -> None:
    store = await holding(stored(CARD, OTHER))

    assert isinstance(await look_up(store, RECODED, OTHER), Near)
    found = await look_up(store, RECODED, CARD)
    assert isinstance(found, Miss)
    assert Doubt.LOCAL_CHANGE is found.doubt


async def test_the_order_of_the_pictures_matters_on_every_rung() -> None:
    store = await holding(stored(CARD, OTHER))

    assert isinstance(await look_up(store, CARD, OTHER), Exact)
    assert isinstance(await look_up(store, OTHER, CARD), Miss)
    assert isinstance(await look_up(store, OTHER, RECODED), Miss)


async def test_a_part_of_the_pictures_is_another_question() -> None:
    store = await holding(stored(CARD, OTHER))

    assert Miss(Doubt.NEW_PICTURE) == await look_up(store, CARD)
    assert Miss(Doubt.NEW_PICTURE) == await look_up(store, CARD, OTHER, OTHER)


async def test_the_worst_of_several_scores_is_the_requests() -> None:
    alone = await look_up(await holding(stored(CARD)), RECODED)
    pair = await holding(stored(CARD, CARD))

    assert isinstance(alone, Near)
    for names in ((CARD, RECODED), (RECODED, CARD)):
        found = await look_up(pair, *names)
        assert isinstance(found, Near)
        assert (alone.score, alone.similarity) == (found.score, found.similarity)


async def test_an_embedder_that_takes_too_long_is_not_waited_for() -> None:
    class Hanging(HandMadeLooks):
        async def embedded(self) -> Embedded | None:
            await anyio.sleep_forever()
            return None

    store = await holding(stored(CARD))
    found = await climb(store, asked(RECODED), Hanging(RECODED), replace(terms(), embed_timeout_s=0.01), Guarding())

    assert found == Miss(Doubt.EMBEDDER_BUSY)


# Past its time


def over(*names: str) -> Terms:
    """Terms under which the entries put by these names are past their time."""
    return replace(terms(), over=lambda entry: entry.id in {f"id-{name}" for name in names})


async def test_what_is_over_is_passed_by_on_every_rung() -> None:
    store = await holding(stored(CARD, name="old"))

    assert Miss(Doubt.STALE) == await look_up(store, CARD, under=over("old"))
    assert Miss(Doubt.NEW_PICTURE) == await look_up(store, RECODED, under=over("old"))
    assert Miss(Doubt.STALE) == await look_up(store, CARD, under=replace(over("old"), highest=Rung.EXACT))
    assert isinstance(await look_up(store, CARD), Exact)


async def test_what_is_over_keeps_no_living_answer_from_being_found() -> None:
    recoded = stored(RECODED, name="new")
    store = await holding(stored(CARD, name="old"), recoded)
    found = await look_up(store, CARD, under=over("old"))

    assert isinstance(found, Near)
    assert found.entry == recoded.entry


async def test_entries_that_are_over_take_no_place_among_the_candidates() -> None:
    copies = [stored(CARD, name=f"old-{number}", exact=f"exact-{number}") for number in range(3)]
    store = await holding(*copies, stored(CARD, name="new", exact="exact-new"))
    found = await look_up(store, RECODED, under=over("old-0", "old-1", "old-2"))

    assert isinstance(found, Near)
    assert found.entry.id == "id-new"
