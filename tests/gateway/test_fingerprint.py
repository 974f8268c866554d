import math
import threading
from collections.abc import Sequence
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from cache import guard
from embeddings.base import RGB, Space, Vectors
from embeddings.batching import Embedded, Loading, Ready, State
from gateway import pictures
from gateway.fingerprint import Fingerprint, Workers
from gateway.pictures import Picture
from gateway.question import Bypass, NotCacheable

pytestmark = pytest.mark.anyio


def pixels(file: Picture) -> str:
    return pictures.pixels(pictures.decoded(file))


class MeanColour:
    """The mean colour of a picture as its vector."""

    space = Space("test", "w", 3)
    threshold = 0.9

    def embed(self, pictures: Sequence[RGB]) -> Vectors:
        means = np.stack([picture.mean(axis=(0, 1)) for picture in pictures]).astype(np.float32)
        unit: Vectors = means / np.linalg.norm(means, axis=1, keepdims=True)
        return unit


class Embedding:
    """An embedder that is ready, or is told to be."""

    def __init__(self, ready: bool = True) -> None:
        self.state: State = Ready(MeanColour(), None) if ready else Loading()
        self.asked: list[int] = []

    async def embed(self, pictures: Sequence[RGB]) -> Embedded | None:
        self.asked.append(len(pictures))
        match self.state:
            case Ready(embedder):
                return Embedded(embedder.space, embedder.embed(pictures), 0.25)
            case _:
                return None


class CountingWorkers(Workers):
    def __init__(self) -> None:
        super().__init__(most=2)
        self.runs = 0

    async def run(self, work, within_s=math.inf):  # type: ignore[no-untyped-def]
        self.runs += 1
        return await super().run(work, within_s)


def picture(name: str, image: Image.Image | None = None) -> Picture:
    data = BytesIO()
    (image or Image.new("RGB", (8, 6), name)).save(data, "PNG")
    return Picture(data.getvalue(), name)


def fingerprint(*loaded: Picture, embedding: Embedding | None = None, workers: Workers | None = None) -> Fingerprint:
    return Fingerprint(loaded, workers or Workers(2), embedding or Embedding(), pixels_max=1_000)


RED, BLUE = picture("red"), picture("blue")
DEEP = picture("deep", Image.fromarray(np.zeros((6, 8), np.uint16)))
BROKEN = Picture(RED.data[:40], "broken")


async def test_the_files_are_known_before_anything_is_decoded() -> None:
    assert fingerprint(RED, BROKEN).files == ("red", "broken")


async def test_every_look_keeps_the_order_of_the_pictures() -> None:
    looks = fingerprint(RED, BLUE, RED)
    red, blue, again = await looks.views()
    embedded = await looks.embedded()

    assert await looks.sizes() == ((8, 6), (8, 6), (8, 6))
    assert (
        pixels(RED),
        pixels(BLUE),
        pixels(RED),
    ) == await looks.pixels()
    assert [view.rgb[0, 0, 0] for view in (red, blue, again)] == [255, 0, 255]
    assert embedded is not None
    assert (embedded.space, embedded.threshold) == ("test@w/3", 0.9)
    assert embedded.vectors.tolist() == [[1, 0, 0], [0, 0, 1], [1, 0, 0]]


async def test_each_look_is_taken_once() -> None:
    workers, embedding = CountingWorkers(), Embedding()
    looks = fingerprint(RED, BLUE, embedding=embedding, workers=workers)
    for _ in range(3):
        await looks.sizes()
        await looks.pixels()
        await looks.views()
        await looks.embedded()

    assert workers.runs == 3
    assert embedding.asked == [2]


async def test_nothing_is_decoded_before_its_size_is_known() -> None:
    too_large = picture("large", Image.new("RGB", (100, 11)))
    for look in ("sizes", "pixels", "views", "embedded", "evidence"):
        workers = CountingWorkers()
        with pytest.raises(NotCacheable) as refused:
            await getattr(fingerprint(RED, too_large, workers=workers), look)()

        assert Bypass.PICTURE_TOO_LARGE is refused.value.why
        assert workers.runs == 1


async def test_one_unreadable_picture_is_a_reason_to_leave_them_all() -> None:
    for look in ("sizes", "pixels", "views"):
        with pytest.raises(NotCacheable) as refused:
            await getattr(fingerprint(RED, BROKEN), look)()

        assert Bypass.PICTURE_UNREADABLE is refused.value.why


async def test_one_picture_without_a_plain_view_leaves_none_to_be_near() -> None:
    embedding = Embedding()
    looks = fingerprint(RED, DEEP, embedding=embedding)

    assert await looks.views() == ()
    assert await looks.embedded() is None
    assert await looks.evidence() == ()
    assert embedding.asked == []
    assert len(await looks.pixels()) == 2


async def test_an_embedder_that_is_not_ready_is_asked_again() -> None:
    embedding = Embedding(ready=False)
    looks = fingerprint(RED, embedding=embedding)
    assert await looks.embedded() is None

    embedding.state = Ready(MeanColour(), None)
    embedded = await looks.embedded()
    assert embedded is not None
    assert embedded.vectors.shape == (1, 3)


async def test_evidence_is_what_the_guard_needs_of_each_picture() -> None:
    looks = fingerprint(RED, BLUE)
    evidence = await looks.evidence()

    assert [guard.decode(kept).rgb[0, 0, 0] for kept in evidence] == [255, 0]
    for kept, view in zip(evidence, await looks.views(), strict=True):
        assert np.array_equal(view.rgb, guard.decode(kept).rgb)


async def test_evidence_is_held_to_its_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    budgets: list[int | None] = []

    def encode(view: guard.View, bytes_max: int | None = None) -> bytes:
        budgets.append(bytes_max)
        return b""

    monkeypatch.setattr(guard, "encode", encode)
    await Fingerprint([RED, BLUE], Workers(1), Embedding(), 10**6, evidence_bytes_max=70_000).evidence()

    assert budgets == [70_000, 70_000]


async def test_work_runs_in_another_thread() -> None:
    assert threading.get_ident() != await Workers(1).run(threading.get_ident)


async def test_pictures_that_are_too_many_pixels_together_are_too_large() -> None:
    both = [Picture.of(BLUE.data), Picture.of(RED.data)]
    await Fingerprint(both, Workers(1), Embedding(), 10**6, request_pixels_max=96).sizes()

    with pytest.raises(NotCacheable) as refused:
        await Fingerprint(both, Workers(1), Embedding(), 10**6, request_pixels_max=95).pixels()
    assert Bypass.PICTURE_TOO_LARGE is refused.value.why


async def test_a_picture_that_decodes_for_too_long_is_given_up_and_its_thread_is_the_last_that_it_gets() -> None:
    workers, going_on, runs = Workers(1), threading.Event(), list[str]()

    def slow() -> None:
        runs.append("slow")
        going_on.wait(60)

    with pytest.raises(TimeoutError):
        await workers.run(slow, within_s=0.02)
    for _ in range(3):  # its slot is taken, so that nothing else begins
        with pytest.raises(TimeoutError):
            await workers.run(lambda: runs.append("other"), within_s=0.01)
    assert runs == ["slow"]

    going_on.set()
    assert await workers.run(lambda: "again", within_s=60) == "again"
    assert await workers.run(lambda: "and without a deadline") == "and without a deadline"


async def test_what_work_raises_comes_back_and_frees_its_slot() -> None:
    workers = Workers(1)
    for _ in range(3):
        with pytest.raises(ZeroDivisionError):
            await workers.run(lambda: 1 // 0, within_s=60)


async def test_a_picture_that_is_too_slow_is_one_word() -> None:
    workers, going_on = Workers(1), threading.Event()
    with pytest.raises(TimeoutError):
        await workers.run(lambda: going_on.wait(60), within_s=0.01)
    with pytest.raises(NotCacheable) as refused:
        await Fingerprint([RED], workers, Embedding(), 10**6, decode_timeout_s=0.01).pixels()
    going_on.set()

    assert Bypass.PICTURE_TOO_SLOW is refused.value.why
