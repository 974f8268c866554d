"""Which questions are alike, found without a model."""

from collections import Counter

import anyio
import pytest

from gateway.bulk.items import Failure, Item, Recipe
from gateway.config import Settings
from gateway.demo import cards
from gateway.warm.compose import Shape, compose
from gateway.warm.rehearse import Rehearsed, rehearse
from tests.fakes.pictures import data_url, jpeg, png

CARD = data_url(png(cards.draw("48.20")))
AGAIN = data_url(jpeg(cards.draw("48.20"), 90))
BROKEN = "data:image/png;base64,bm8gcGljdHVyZQ=="
SHAPE = Shape("m")


async def rehearsed(pictures: list[str]) -> tuple[Rehearsed, list[str], list[float]]:
    """What it came to, the ids of those that are alike, and how long was waited each time."""
    items = [Item(str(n), n, Recipe((url,), "Price?")) for n, url in enumerate(pictures, 1)]
    alike: list[str] = []
    waits: list[float] = []

    async def composed(item: Item) -> tuple[str, bytes] | Failure:
        assert isinstance(item.asks, Recipe)
        return compose(item.asks, list(item.asks.pictures), SHAPE)

    async def wait(seconds: float) -> None:
        waits.append(seconds)
        await anyio.sleep(seconds)

    settings = Settings(upstream="http://nobody.invalid", embedder="dct")
    told = await rehearse(
        settings,
        iter([(item, b"") for item in items]),
        composed,
        wait,
        lambda item: alike.append(item.id),
        lambda so_far: None,
    )
    return told, alike, waits


@pytest.mark.anyio
async def test_a_picture_is_alike_once_the_one_before_it_is_stored():
    told, alike, _ = await rehearsed([CARD, AGAIN])

    assert (told.new, told.alike, alike) == (1, Counter(near=1), ["2"])


@pytest.mark.anyio
async def test_what_is_never_stored_is_not_waited_for_and_is_told_by_its_reason():
    told, alike, waits = await rehearsed([BROKEN, CARD, BROKEN, BROKEN + "AA", AGAIN])

    assert told.passed == Counter({"picture-unreadable": 3})
    assert (told.new, alike) == (1, ["5"])
    assert sum(waits) < 10  # what is never kept was waited for ten seconds each
