"""What a planner is given: the pictures in their order, and the body that the upstream gets."""

import json
from typing import Any

import pytest

from gateway.config import Settings
from gateway.fingerprint import Workers
from gateway.gather import Gathered, Gatherer
from gateway.question import Bypass, NotCacheable, PictureRef
from tests.fakes.pictures import data_url
from tests.gateway.fetch.test_fetch_guard import PICTURE, PUBLIC, Asked, Names
from tests.gateway.test_pictures import RGB, file

pytestmark = pytest.mark.anyio

HERE, THERE = data_url(file(RGB)), "https://h.test/a.png"
BODY = json.dumps([HERE, THERE, HERE]).encode()


async def gathered(asked: Asked | None, *refs: PictureRef, body: bytes = BODY, **settings: Any) -> Gathered:
    chosen = Settings(upstream="http://upstream", **settings)
    return await Gatherer(chosen, Workers(2), asked.fetcher if asked else None).gather(refs, body)


def host() -> Asked:
    return Asked(Names(h_test=[[PUBLIC]]))


async def test_pictures_in_the_request_and_elsewhere_keep_their_order() -> None:
    found = await gathered(host(), PictureRef(HERE), PictureRef(THERE), PictureRef(HERE))

    assert [picture.data for picture in found.pictures] == [file(RGB), PICTURE, file(RGB)]
    assert found.body == json.dumps([HERE, data_url(PICTURE), HERE]).encode()


async def test_more_pictures_than_are_looked_at_are_not_read_and_not_fetched() -> None:
    asked = host()
    await gathered(asked, *[PictureRef(HERE)] * 3, request_pictures_max=3)
    with pytest.raises(NotCacheable) as refused:
        await gathered(asked, *[PictureRef(THERE)] * 4, request_pictures_max=3)

    assert refused.value.why is Bypass.PICTURES_TOO_MANY
    assert asked.requests == []


async def test_a_body_with_every_picture_in_it_is_right_as_it_is() -> None:
    found = await gathered(host(), PictureRef(HERE))

    assert (len(found.pictures), found.body) == (1, None)


async def test_a_body_whose_urls_stay_is_right_as_it_is() -> None:
    found = await gathered(host(), PictureRef(THERE, inlines=False), fetched_pictures="url")

    assert (found.pictures[0].data, found.body) == (PICTURE, None)


async def test_a_place_that_takes_no_data_url_is_left_alone_and_nothing_is_fetched() -> None:
    asked = host()
    with pytest.raises(NotCacheable) as refused:
        await gathered(asked, PictureRef(THERE, inlines=False))

    assert refused.value.why is Bypass.PICTURE_BY_REFERENCE
    assert asked.requests == []


async def test_nothing_is_fetched_for_a_request_with_a_picture_that_cannot_be_read() -> None:
    asked = host()
    with pytest.raises(NotCacheable) as refused:
        await gathered(asked, PictureRef(THERE), PictureRef("data:;base64,?"))

    assert refused.value.why is Bypass.PICTURE_UNREADABLE
    assert asked.requests == []


async def test_without_a_fetcher_a_url_is_a_reference() -> None:
    with pytest.raises(NotCacheable) as refused:
        await gathered(None, PictureRef(THERE))

    assert refused.value.why is Bypass.PICTURE_BY_REFERENCE


async def test_a_large_body_is_read_in_a_worker_thread_with_the_same_result() -> None:
    padded = json.dumps([THERE, " " * 1_100_000]).encode()
    found = await gathered(host(), PictureRef(THERE), body=padded)

    assert found.body == padded.replace(THERE.encode(), data_url(PICTURE).encode())
