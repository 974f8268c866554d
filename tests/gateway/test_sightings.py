"""Sightings: bounded, durable, drawn after the request, and gone when they are to be forgotten."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import anyio
import anyio.lowlevel
import numpy as np
import pytest

from cache import guard
from cache.entry import Entry, Record
from cache.stores.memory import MemoryStore
from cache.verdict import Different, Doubt, Same, Spot
from gateway import sightings as module
from gateway.account import Trail
from gateway.demo import cards
from gateway.question import Bypass, Judgement
from gateway.sighting import SIGHTING, Compared, Sight, read
from gateway.sightings import Sightings
from gateway.sightings.album import ALBUM_FILE, Album
from gateway.sightings.thumbnails import Part, draw, served

pytestmark = pytest.mark.anyio

NOW_S = 1_764_000_000.0


def view(price: str) -> guard.View:
    card = cards.draw(price)
    return guard.view_of(np.asarray(card), card.size)


STORED, ASKED = view("48.20"), view("48.26")
EVIDENCE = guard.encode(STORED)


def entry(name: str) -> Entry:
    return Entry(
        id=name,
        partition="p",
        exact=f"exact-{name}",
        pixel=f"pixel-{name}",
        dialect="openai-chat",
        model="qwen3-vl-8b",
        created_s=NOW_S,
        expires_s=NOW_S + 1000,
        upstream_s=2.0,
        tokens_in=800,
        tokens_out=4,
        streamed=False,
        space=None,
        sizes=((800, 600),),
    )


SAME = Same(0.4)


def compared(name: str = "e1", verdict: Same | Different = SAME, prompt: str | None = None) -> Compared:
    return Compared(entry(name), 0.99, 0.95, verdict, 0.88, (ASKED,), "asked", ("mark",), prompt)


def trail(outcome: Compared | None = None, **facts: object) -> Trail:
    made = Trail("POST", "/v1/chat/completions", 0.0, dialect="openai-chat", model="qwen3-vl-8b", compared=outcome)
    for name, value in facts.items():
        setattr(made, name, value)
    return made


async def a_store(*names: str) -> MemoryStore:
    store = MemoryStore(lambda: NOW_S, 10**8)
    for name in names:
        await store.put(Record(entry(name), b"{}", None, (EVIDENCE,)))
    return store


Open = Callable[..., Sightings]


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Open]:
    made: list[Sightings] = []

    def make(store: MemoryStore, pictures: bool = True, now_s: float = NOW_S) -> Sightings:
        made.append(Sightings(Album(tmp_path / ALBUM_FILE), store, pictures, 1000.0, lambda: now_s, lambda: 0.0))
        return made[-1]

    yield make
    for one in made:
        one.close()


async def all_drawn(kept: Sightings) -> None:
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(kept.run)
        with anyio.fail_after(60):
            while not kept.resting:
                await anyio.lowlevel.checkpoint()
        tasks.cancel_scope.cancel()


async def test_a_near_hit_is_kept_with_its_figures_and_drawn(opened: Open):
    kept = opened(await a_store("e1"))
    kept.saw(trail(compared(), hit="near", entry=entry("e1"), similarity=0.99))
    await all_drawn(kept)
    [one] = kept.of(Sight.NEAR_HIT)

    assert (one.entry, one.score, one.limit, one.similarity, one.doubt) == ("e1", 0.4, 0.88, 0.99, None)
    assert one.drawn == 1
    assert kept.album.parts(one.id) == [(0, part) for part in sorted(Part)]
    assert kept.of(Sight.NEAR_MISS) == []


async def test_a_near_miss_is_kept_with_its_reason_and_place(opened: Open):
    kept = opened(await a_store("e1"))
    spot = Spot(0.1, 0.2, 0.3, 0.4)
    kept.saw(trail(compared(verdict=Different(Doubt.LOCAL_CHANGE, 3.0, spot)), stored="e2"))
    [one] = kept.of(Sight.NEAR_MISS)

    assert (one.doubt, one.score, one.spot, one.stored) == (Doubt.LOCAL_CHANGE, 3.0, spot, "e2")


async def test_everything_but_the_prompt_survives_a_restart(opened: Open, tmp_path: Path):
    store = await a_store("e1")
    kept = opened(store)
    kept.saw(trail(compared(prompt="what does the label say"), hit="near", entry=entry("e1")))
    await all_drawn(kept)
    before = kept.of(Sight.NEAR_HIT), kept.recent(), kept.most_served(9)

    assert kept.prompt(before[0][0].id) == "what does the label say"

    kept.close()
    again = opened(store)

    assert (again.of(Sight.NEAR_HIT), again.recent(), again.most_served(9)) == before
    assert len(again.album.parts(before[0][0].id)) == 4
    assert again.prompt(before[0][0].id) is None
    assert b"what does the label" not in (tmp_path / ALBUM_FILE).read_bytes()


async def test_what_is_kept_is_bounded_and_the_newest(opened: Open, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "_SIGHTINGS_MOST", 3)
    monkeypatch.setattr(module, "_SERVED_MOST", 4)
    kept = opened(await a_store())
    for number in range(300):
        served_often = entry("often" if number % 2 else f"once-{number}")
        kept.saw(trail(compared(f"e{number}"), hit="near", entry=served_often))

    assert [one.entry for one in kept.of(Sight.NEAR_HIT)] == ["e299", "e298", "e297"]
    assert len(kept.recent()) == 200
    assert len(kept.most_served(99)) <= 4
    assert kept.most_served(1)[0][0] == "often"
    assert kept.most_served(1)[0][1].hits == 150


async def test_a_burst_is_kept_without_pictures_and_holds_no_more_than_its_share_of_memory(
    opened: Open, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(module, "_WAITING_BYTES_MOST", 2 * ASKED.rgb.nbytes)
    kept = opened(await a_store("e1"))
    for _ in range(5):
        kept.saw(trail(compared(), hit="near", entry=entry("e1")))
    await all_drawn(kept)

    assert [one.drawn for one in kept.of(Sight.NEAR_HIT)] == [0, 0, 0, 1, 1]


async def test_without_the_setting_no_picture_is_kept_and_those_of_before_go(opened: Open, tmp_path: Path):
    store = await a_store("e1")
    kept = opened(store)
    kept.saw(trail(compared(), hit="near", entry=entry("e1")))
    await all_drawn(kept)
    [one] = kept.of(Sight.NEAR_HIT)
    jpeg = kept.album.picture(one.id, 0, Part.ASKED)
    assert jpeg is not None
    assert jpeg[200:400] in (tmp_path / ALBUM_FILE).read_bytes()
    kept.close()

    strict = opened(store, pictures=False)
    strict.saw(trail(compared(), hit="near", entry=entry("e1")))
    await all_drawn(strict)
    strict.close()

    assert jpeg[200:400] not in (tmp_path / ALBUM_FILE).read_bytes()
    again = opened(store)
    assert [one.drawn for one in again.of(Sight.NEAR_HIT)] == [0, 0]


async def test_to_forget_entries_takes_their_pictures_out_of_the_file_at_once(opened: Open, tmp_path: Path):
    kept = opened(await a_store("e1", "e2"))
    for name in ("e1", "e2"):
        kept.saw(trail(compared(name), hit="near", entry=entry(name)))
    kept.saw(trail(compared("e3", Different(Doubt.TONE)), stored="e1"))
    await all_drawn(kept)
    [_, gone] = kept.of(Sight.NEAR_HIT)
    jpeg = kept.album.picture(gone.id, 0, Part.STORED)
    assert jpeg is not None

    await kept.forget(frozenset(["e1"]), frozenset())

    assert [one.entry for one in kept.of(Sight.NEAR_HIT)] == ["e2"]
    assert kept.of(Sight.NEAR_MISS) == []
    assert kept.album.picture(gone.id, 0, Part.STORED) is None
    assert [entry_id for entry_id, _ in kept.most_served(9)] == ["e2"]


async def test_no_picture_outlives_the_answers_of_its_time(opened: Open):
    store = await a_store("e1")
    kept = opened(store)
    kept.saw(trail(compared(), hit="near", entry=entry("e1")))
    await all_drawn(kept)
    [one] = kept.of(Sight.NEAR_HIT)
    kept.close()
    later = opened(store, now_s=NOW_S + 1001)
    assert later.of(Sight.NEAR_HIT) == []
    later.close()

    assert opened(store).album.parts(one.id) == []


async def test_a_forgotten_file_takes_sightings_of_it_along_and_those_that_might_show_it(opened: Open):
    kept = opened(await a_store("e1", "e2", "e3", "e4"))
    kept.saw(trail(compared("e1", Different(Doubt.TONE)), stored="e2"))  # shows "mark"
    kept.saw(trail(compared("e3", Different(Doubt.TONE))))  # nobody knows what it resembles
    kept.saw(trail(replace(compared("e4"), marks=("another",)), hit="near", entry=entry("e4")))
    await kept.forget(frozenset(), frozenset(["mark"]))

    assert [one.entry for sight in Sight for one in kept.of(sight)] == ["e4"]


async def test_what_shows_an_entry_that_has_left_before_goes_with_the_next_that_is_forgotten(opened: Open):
    kept = opened(await a_store("e1", "e2"))
    kept.saw(trail(compared("evicted"), hit="near", entry=entry("evicted")))
    kept.saw(trail(compared("e1", Different(Doubt.TONE)), stored="evicted"))
    kept.saw(trail(compared("e1"), hit="near", entry=entry("e1")))
    await kept.forget(frozenset(["e2"]), frozenset())

    assert [one.entry for sight in Sight for one in kept.of(sight)] == ["e1"]


async def test_a_name_of_any_length_is_kept_short(opened: Open):
    kept = opened(await a_store())
    kept.saw(trail(model="m" * 10_000))

    assert [one.model for one in kept.recent()] == ["m" * 200]


async def test_requests_are_listed_the_newest_first_and_other_paths_are_not(opened: Open):
    kept = opened(await a_store())
    kept.saw(trail(doubt=Doubt.FIRST_ASKED, ended_s=1.5))
    kept.saw(trail(bypass=Bypass.NO_PICTURE, ended_s=2.5))
    kept.saw(Trail("GET", "/v1/models", 0.0))

    assert [(one.outcome, one.reason) for one in kept.recent()] == [("bypass", "no-picture"), ("miss", "first-asked")]
    assert kept.recent()[1].seconds == 1.5


async def test_a_request_whose_answer_took_long_to_store_is_listed_where_its_client_saw_it(opened: Open):
    kept = opened(await a_store())
    kept.saw(trail(bypass=Bypass.NO_PICTURE, ended_s=3.5))
    kept.saw(trail(doubt=Doubt.FIRST_ASKED, ended_s=3.0))

    assert [one.outcome for one in kept.recent()] == ["bypass", "miss"]


async def test_a_judgement_stays_with_its_sighting(opened: Open):
    store = await a_store("e1")
    kept = opened(store)
    kept.saw(trail(compared(), hit="near", entry=entry("e1")))
    [one] = kept.of(Sight.NEAR_HIT)
    kept.judge(one.entry, one.asked_exact, Judgement.WRONG)
    kept.close()

    assert [one.judged for one in opened(store).of(Sight.NEAR_HIT)] == [Judgement.WRONG]


async def test_a_damaged_file_is_begun_anew(opened: Open, tmp_path: Path, caplog: pytest.LogCaptureFixture):
    (tmp_path / ALBUM_FILE).write_bytes(b"this is no database" * 100)
    kept = opened(await a_store())

    assert kept.recent() == []
    assert "begin anew" in caplog.text


async def test_a_file_that_is_damaged_further_in_is_begun_anew_too(
    opened: Open, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    store = await a_store("e1")
    kept = opened(store)
    kept.saw(trail(compared(), hit="near", entry=entry("e1")))
    await all_drawn(kept)
    kept.close()
    file = tmp_path / ALBUM_FILE
    whole = file.read_bytes()
    file.write_bytes(whole[:4096] + bytes(len(whole) - 4096))

    assert opened(store).recent() == []
    assert "begin anew" in caplog.text


async def test_a_fault_while_a_request_is_kept_is_logged_and_goes_no_further(
    opened: Open, caplog: pytest.LogCaptureFixture
):
    kept = opened(await a_store())
    kept.saw(trail(compared=object()))  # not what it should be

    assert "could not be kept" in caplog.text


def test_a_small_change_is_drawn_hot_and_close_up():
    drawn = draw(EVIDENCE, ASKED)

    assert set(drawn) == set(Part)
    assert all(jpeg.startswith(b"\xff\xd8") and len(jpeg) < 40_000 for jpeg in drawn.values())


def test_pictures_that_do_not_lie_on_each_other_are_drawn_side_by_side():
    noise = np.random.default_rng(1).integers(0, 256, (300, 500, 3)).astype(np.uint8)

    assert set(draw(EVIDENCE, guard.view_of(noise, (500, 300)))) == {Part.STORED, Part.ASKED}


def test_a_served_picture_is_small():
    assert len(served(EVIDENCE)) < 30_000


def test_a_row_of_another_version_is_passed_over():
    assert read(SIGHTING, b'{"id": "x"}') is None
    assert read(SIGHTING, b"\xff") is None


def test_a_sighting_is_written_and_read_without_loss():
    one = module.sighting_of(compared(verdict=Different(Doubt.TONE, 2.0, Spot(0.0, 0.1, 0.2, 0.3))), NOW_S)

    assert read(SIGHTING, SIGHTING.dump_json(replace(one, judged=Judgement.RIGHT))) == replace(
        one, judged=Judgement.RIGHT
    )
