"""What the user of any client may expect behind the gateway. A client's test class inherits `ClientContract`.

A new client is one short class: which server it talks to, how it asks, and which exception is its own. It makes its
client from the line that docs/dialects.md gives its users (`connected`), so that line is true.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pytest

from gateway.config import Settings
from gateway.demo import cards
from tests.contracts.heard import Heard, apart_from_ids_and_times, ids
from tests.fakes.pictures import card, data_url, jpeg
from tests.fakes.servers.base import Server
from tests.flows.conftest import Stage, gateway_over, serving, wait_until_ready

MODEL = "qwen3-vl-8b"
PRICES = ("48.20", "13.75", "90.61", "27.04")
_QUESTION = "What is the price?"


@dataclass(frozen=True, slots=True)
class File:
    """A picture as it lies on a user's disk."""

    data: bytes
    media_type: str

    @property
    def url(self) -> str:
        return data_url(self.data, self.media_type)

    @property
    def base64(self) -> str:
        return self.url.partition(",")[2]


@dataclass(frozen=True, slots=True)
class Turn:
    """One message of a conversation: its pictures, then its text."""

    role: str  # "user" or "assistant"
    text: str
    pictures: tuple[File, ...] = ()


Turns = tuple[Turn, ...]


def original(price: str) -> File:
    return File(card(price), "image/png")


def reencoded(price: str) -> File:
    """The same card as another file with other pixels: a near hit."""
    return File(jpeg(cards.draw(price), 88), "image/jpeg")


def one(picture: File, text: str = _QUESTION) -> Turns:
    return (Turn("user", text, (picture,)),)


def two_turns(first: File, second: File, text: str = "And this one?") -> Turns:
    return (*one(first), Turn("assistant", "It is 48.20."), Turn("user", text, (second,)))


streamed_or_not = pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])


class ClientContract:
    server: ClassVar[Callable[[], Server]]
    refusal: ClassVar[type[Exception]]  # what the client raises for a status that is not 2xx
    cut: ClassVar[type[Exception]] = Exception  # what it raises for a stream that breaks off

    def ask(self, gateway: str, turns: Turns, streamed: bool) -> Heard:
        """Ask through a client of its own, made by `connected`, that tries once."""
        raise NotImplementedError

    def status(self, refusal: Any) -> int:
        """The upstream's status, as the client's exception tells it."""
        return int(refusal.status_code)

    @pytest.fixture
    def upstream(self) -> Server:
        return type(self).server()

    @pytest.fixture
    def stage(self, upstream: Server, tmp_path: Path) -> Iterator[Stage]:
        with serving(upstream) as url:
            # A machine that is busy with other things must not turn a near hit into a miss.
            settings = Settings(upstream=url, cache_dir=tmp_path, store="memory", embedder="dct", embed_timeout_s=60)
            with gateway_over(settings) as stage:
                wait_until_ready(stage)
                yield stage

    @streamed_or_not
    def test_the_same_file_again_and_reencoded_is_answered_as_it_was(
        self, stage: Stage, upstream: Server, streamed: bool
    ) -> None:
        first = self.ask(stage.gateway, one(original("48.20")), streamed)
        again = self.ask(stage.gateway, one(original("48.20")), streamed)
        near = self.ask(stage.gateway, one(reencoded("48.20")), streamed)

        assert first.text == "prices: 48.20"
        assert_alike(first, again, near)
        assert upstream.calls == 1
        assert stage.stats()["hits"] == {"total": 2, "exact": 1, "pixel": 0, "near": 1}

    @streamed_or_not
    def test_another_picture_or_question_is_asked_upstream(
        self, stage: Stage, upstream: Server, streamed: bool
    ) -> None:
        self.ask(stage.gateway, one(original("48.20")), streamed)
        other = self.ask(stage.gateway, one(original("48.26")), streamed)
        self.ask(stage.gateway, one(original("48.20"), "What is on the label?"), streamed)

        assert other.text == "prices: 48.26"
        assert upstream.calls == 3

    @streamed_or_not
    def test_four_pictures_are_told_apart_and_in_order(self, stage: Stage, upstream: Server, streamed: bool) -> None:
        files, copies = [original(price) for price in PRICES], [reencoded(price) for price in PRICES]
        first = self.ask(stage.gateway, (Turn("user", _QUESTION, tuple(files)),), streamed)
        near = self.ask(stage.gateway, (Turn("user", _QUESTION, tuple(copies)),), streamed)
        turned = self.ask(stage.gateway, (Turn("user", _QUESTION, tuple(reversed(files))),), streamed)

        assert first.text == "prices: " + ", ".join(PRICES)
        assert_alike(first, near)
        assert turned.text == "prices: " + ", ".join(reversed(PRICES))
        assert upstream.calls == 2
        assert stage.stats()["hits"]["near"] == 1

    @streamed_or_not
    def test_a_picture_of_an_earlier_turn_counts_like_one_of_the_last(
        self, stage: Stage, upstream: Server, streamed: bool
    ) -> None:
        first = self.ask(stage.gateway, two_turns(original("48.20"), original("13.75")), streamed)
        near = self.ask(stage.gateway, two_turns(reencoded("48.20"), original("13.75")), streamed)
        other = self.ask(stage.gateway, two_turns(original("27.04"), original("13.75")), streamed)

        assert first.text == "prices: 48.20, 13.75"
        assert_alike(first, near)
        assert other.text == "prices: 27.04, 13.75"
        assert upstream.calls == 2

    @streamed_or_not
    def test_an_error_is_the_clients_own_exception_with_the_upstreams_status_and_is_not_kept(
        self, stage: Stage, upstream: Server, streamed: bool
    ) -> None:
        upstream.fails_with = 404
        for _ in range(2):
            with pytest.raises(self.refusal) as refused:
                self.ask(stage.gateway, one(original("48.20")), streamed)
            assert self.status(refused.value) == 404
        upstream.fails_with = None

        assert self.ask(stage.gateway, one(original("48.20")), streamed).text == "prices: 48.20"
        assert upstream.calls == 3
        assert stage.stats()["not_stored"] == {"upstream-status": 2}

    def test_a_stream_that_breaks_off_is_broken_off_for_the_client_and_not_kept(
        self, stage: Stage, upstream: Server
    ) -> None:
        upstream.cut_after = 2
        with pytest.raises(self.cut):
            self.ask(stage.gateway, one(original("48.20")), streamed=True)
        upstream.cut_after = None

        assert self.ask(stage.gateway, one(original("48.20")), streamed=True).text == "prices: 48.20"
        assert upstream.calls == 2
        assert stage.stats()["store"]["entries"] == 1


def assert_alike(first: Heard, *others: Heard) -> None:
    for other in others:
        assert other.text == first.text
        assert apart_from_ids_and_times(other.held) == apart_from_ids_and_times(first.held)
        assert set(ids(first.held)).isdisjoint(ids(other.held))
