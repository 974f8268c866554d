"""What every dialect must do. A dialect's test class inherits `DialectContract` and says what its recordings hold."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from copy import deepcopy
from dataclasses import replace
from itertools import pairwise, product
from typing import Any, ClassVar

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cache.keys import canonical
from gateway.capture import Retelling
from gateway.dialects.base import Dialect
from gateway.dialects.framing import Frame
from gateway.headers import readable
from gateway.question import Bypass, Call, Fresh, NotCacheable, Question, Reply, Unstored
from tests.examples import examples
from tests.wire.recorded import Message, messages, replies

FRESH = Fresh("0123456789abcdef01234567", 2_000_000_000)
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(-1e9, 1e9) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)

ODDITIES = (None, True, 7, "?", [], [None], {}, {"?": []})


def call(body: dict[str, Any] | bytes, path: str = "/v1/chat/completions", **headers: str) -> Call:
    data = body if isinstance(body, bytes) else orjson.dumps(body)
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    return Call(path, "", fields, data, "tenant")


def recorded(message: Message) -> Call:
    """A recorded request as the gateway would hand it to its dialect."""
    return Call(message.path, "", readable(message.headers), message.body, "tenant")


def key(question: Question) -> bytes:
    return canonical([question.model, question.asked, len(question.pictures)])


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of every value in a JSON value, containers included."""
    inner: Any = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, item in inner:
        yield (*path, name)
        yield from leaves(item, (*path, name))


def changed_at(value: Any, path: tuple[Any, ...]) -> Any:
    """A copy with another value of the same kind at `path`."""
    found = value
    for name in path:
        found = found[name]
    return replaced_at(value, path, _other(found))


def _names(path: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(name for name in path if isinstance(name, str))


def replaced_at(value: Any, path: tuple[Any, ...], other: Any) -> Any:
    """A copy with `other` at `path`."""
    if not path:
        return other
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = replaced_at(copy[path[0]], path[1:], other)
    return copy


def _other(value: Any) -> Any:
    match value:
        case bool():
            return not value
        case int() | float():
            return value + 1
        case str():
            return value + "?"
        case list():
            return [*value, "?"]
        case dict():
            return value | {"?": 1}
        case _:
            return "?"


class WholeContract:
    """Of every dialect: its requests, and its replies in one piece."""

    dialect: ClassVar[Dialect]
    folder: ClassVar[str]  # of the recordings, in tests/wire
    path: ClassVar[str] = "/v1/chat/completions"
    minimal: ClassVar[dict[str, Any]]  # a request about one picture, sent to that path
    asks: ClassVar[str]  # the text in it
    not_asked: ClassVar[dict[str, Any]]  # fields that are no part of the key, each with a value
    hints: ClassVar[tuple[str, ...]] = ()  # fields further in that are none either
    refused: ClassVar[dict[str, Bypass]]  # recorded requests that are no questions about pictures
    choices: ClassVar[dict[str, int]] = {}  # answers asked for, by case, where it is not one
    closing: ClassVar[str] = '"finish_reason":"'  # in every frame that says that an answer is whole
    unread: ClassVar[dict[str, Unstored]]  # recorded replies of status 200 that are not whole answers
    heartbeats: ClassVar[tuple[str, ...]] = ()  # types of event that are no part of an answer
    ids: ClassVar[tuple[str, ...]] = ("id",)  # fields that a replay makes anew ...
    times: ClassVar[tuple[str, ...]] = ("created",)
    now: ClassVar[Any] = FRESH.now_s  # as this dialect writes it
    whole_bodies: ClassVar[st.SearchStrategy[dict[str, Any]]]  # replies as this dialect could make them

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        requests = (*messages(self.folder, "requests"), *messages(self.folder, "clients"))
        samples: dict[str, Sequence[Message]] = {
            "request_": requests,
            "question_": [m for m in requests if m.name not in self.refused],
            "reply_": [m for m in replies(self.folder) if not m.streamed],
            "stream_": self._streams(whole=True),
            "broken_stream_": self._streams(whole=False),
        }
        for name, found in samples.items():
            if name in metafunc.fixturenames:
                metafunc.parametrize(name, found, ids=[message.name for message in found])

    # Requests

    def test_every_recorded_request_is_a_question_or_is_refused_for_its_reason(self, request_: Message) -> None:
        assert self.dialect.claims(request_.path)
        if why := self.refused.get(request_.name):
            with pytest.raises(NotCacheable) as refusal:
                self.dialect.parse(recorded(request_))
            assert why is refusal.value.why
        else:
            question = self.dialect.parse(recorded(request_))
            assert question.pictures
            assert b"base64," not in canonical(question.asked)

    def test_the_prompt_is_told_and_never_shown(self, question_: Message) -> None:
        minimal, question = self._asked(), self.dialect.parse(recorded(question_))

        assert self.asks == minimal.prompt
        assert self.asks not in repr(replace(minimal, asked=None))
        assert question.prompt.strip()
        assert "base64," not in question.prompt

    def test_a_change_of_any_asked_value_is_another_key(self, question_: Message) -> None:
        body = orjson.loads(question_.body)
        before = self.dialect.parse(recorded(question_))
        for path in leaves(body):
            if path[0] in self.not_asked or not set(self.hints).isdisjoint(path) or self._at(body, path) is None:
                continue
            after = self._parsed(changed_at(body, path), recorded(question_))

            assert after is None or key(after) != key(before) or after.pictures != before.pictures, path

    def test_an_unknown_field_is_part_of_the_key(self) -> None:
        @examples(40)
        @given(st.text(min_size=1, max_size=12), JSON_VALUES.filter(lambda value: value is not None))
        def check(name: str, value: Any) -> None:
            name = f"x-{name}"
            without, with_one = self._parsed(self.minimal), self._parsed(self.minimal | {name: value})
            with_other = self._parsed(self.minimal | {name: [value]})

            assert without is not None
            assert with_one is not None
            assert with_other is not None
            assert len({key(without), key(with_one), key(with_other)}) == 3

        check()

    def test_fields_that_do_not_change_the_answer_do_not_change_the_key(self) -> None:
        before = self._asked()
        for name, value in self.not_asked.items():
            assert key(before) == key(self.dialect.parse(call(self.minimal | {name: value}, self.path))), name

    def test_the_order_of_fields_and_unset_fields_do_not_change_the_key(self) -> None:
        before = self._asked()
        turned = dict(reversed(self.minimal.items())) | {"unset": None}

        assert key(before) == key(self.dialect.parse(call(turned, self.path)))
        spaced = b"  " + orjson.dumps(turned, option=orjson.OPT_INDENT_2)
        assert key(before) == key(self.dialect.parse(call(spaced, self.path)))

    def test_a_body_that_is_no_question_is_refused_and_nothing_else_is_raised(self) -> None:
        @examples(50)
        @given(st.binary(max_size=60) | JSON_VALUES.map(orjson.dumps))
        def check(body: bytes) -> None:
            with pytest.raises(NotCacheable):
                self.dialect.parse(call(body, self.path))

        check()

    def test_a_request_with_anything_else_in_any_place_is_a_question_or_refused(self) -> None:
        asked = [*messages(self.folder, "requests"), *messages(self.folder, "clients")]
        bodies = [orjson.loads(m.body) for m in asked if m.name not in self.refused]
        body = max(bodies, key=lambda body: len(set(map(_names, leaves(body)))))
        for path, other in product(leaves(body), ODDITIES):
            question = self._parsed(replaced_at(body, path, other))

            assert question is None or (question.pictures and key(question)), path

    # Replies in one piece

    def test_every_recorded_reply_is_whole_or_is_refused_for_its_reason(self, reply_: Message) -> None:
        reply = self.dialect.whole(reply_.body)
        if reply_.status != 200:
            assert not isinstance(reply, Reply)
        elif why := self.unread.get(reply_.name):
            assert why is reply
        else:
            assert isinstance(reply, Reply)
            assert orjson.loads(reply_.body) == reply.body == orjson.loads(self.dialect.body(reply))
            assert list(orjson.loads(reply_.body)) == list(orjson.loads(self.dialect.body(reply)))

    def test_the_text_of_a_recorded_reply_is_in_it_and_is_all_that_a_reader_takes(self, reply_: Message) -> None:
        reply = self.dialect.whole(reply_.body)
        if isinstance(reply, Reply) and self.dialect.unstorable(reply) is None:
            text = self.dialect.text(reply)
            pieces = [piece for piece in text.split("\n\n") if piece]

            assert pieces
            assert all(orjson.dumps(piece)[1:-1] in orjson.dumps(reply.body) for piece in pieces)
            assert text == self.dialect.text(self.dialect.renew(reply, self._asked(), FRESH))

    def test_a_reply_of_another_form_is_not_kept_and_nothing_is_raised(self) -> None:
        @examples(50)
        @given(st.binary(max_size=40) | JSON_VALUES.map(orjson.dumps))
        def check(body: bytes) -> None:
            assert isinstance(self.dialect.whole(body), Unstored)

        check()

    def test_a_reply_with_anything_else_in_any_place_raises_nothing(self) -> None:
        bodies = [orjson.loads(m.body) for m in replies(self.folder) if m.status == 200 and not m.streamed]
        body = max(bodies, key=lambda body: len(set(map(_names, leaves(body)))))
        for path, other in product(leaves(body), ODDITIES):
            self.assert_usable(self.dialect.whole(orjson.dumps(replaced_at(body, path, other))))

    def assert_usable(self, reply: Reply | Unstored) -> None:
        """Whatever is done with a reply, it raises nothing."""
        if isinstance(reply, Reply):
            self.dialect.unstorable(reply)
            self.dialect.usage(reply)
            assert isinstance(self.dialect.text(reply), str)
            assert all(isinstance(piece.text, str) for piece in self.dialect.texts.whole(reply.body).pieces)
            renewed = self.dialect.renew(reply, self._asked(), FRESH)
            assert self.dialect.body(renewed)
            assert all(map(self.dialect.encode, self.dialect.stream(renewed, True)))

    # Replays

    def test_renew_changes_ids_and_times_and_nothing_else(self, reply_: Message) -> None:
        reply = self.dialect.whole(reply_.body)
        if isinstance(reply, Reply):
            self.assert_renewed(reply)

    def assert_renewed(self, reply: Reply) -> None:
        untouched = deepcopy(reply)
        renewed = self.dialect.renew(reply, self._asked(), FRESH)
        old, new = self._values(reply, self.ids), self._values(renewed, self.ids)

        assert untouched == reply
        assert len(new) == len(old)
        assert new.isdisjoint(old)
        assert self._values(renewed, self.times) == ({self.now} if self._values(reply, self.times) else set())
        assert self._without_ids(reply) == self._without_ids(renewed)
        for before, after in zip(self.named(reply), self.named(renewed), strict=True):
            assert list(before) == list(after)

    def test_two_replays_of_one_answer_have_two_ids(self, reply_: Message) -> None:
        reply = self.dialect.whole(reply_.body)
        if isinstance(reply, Reply) and self.ids:
            replays = [self.dialect.renew(reply, self._asked(), Fresh(token, 1)) for token in ("aa", "bb")]
            first, second = (self._values(replay, self.ids) for replay in replays)

            assert first
            assert first.isdisjoint(second)

    def test_the_error_it_writes_is_an_error_to_itself(self) -> None:
        for status in (400, 502, 504):
            written = self.dialect.error(status, "some_code", "what went wrong")

            assert b"what went wrong" in written
            assert isinstance(self.dialect.whole(written), Unstored)

    # What the tests above are written in

    def named(self, reply: Reply) -> Iterator[dict[str, Any]]:
        """The objects in a reply, in its body and its chunks, that may carry ids and times."""
        yield from (reply.body, *reply.chunks)

    def _streams(self, whole: bool) -> list[Message]:
        found = [m for m in replies(self.folder) if m.streamed]
        return [m for m in found if whole == (m.complete and m.name not in self.unread)]

    def _parsed(self, body: dict[str, Any], like: Call | None = None) -> Question | None:
        sent = call(body, self.path)
        try:
            return self.dialect.parse(replace(like, body=sent.body) if like else sent)
        except NotCacheable:
            return None

    def _asked(self) -> Question:
        return self.dialect.parse(call(self.minimal, self.path))

    def _at(self, value: Any, path: tuple[Any, ...]) -> Any:
        for name in path:
            value = value[name]
        return value

    def _values(self, reply: Reply, names: tuple[str, ...]) -> set[Any]:
        return {part[name] for part in self.named(reply) for name in names if part.get(name) is not None}

    def _without_ids(self, reply: Reply) -> Reply:
        bare = deepcopy(reply)
        for part in self.named(bare):
            for name in (*self.ids, *self.times):
                part.pop(name, None)
        return bare


class DialectContract(WholeContract):
    """Of a dialect that streams, its streams as well."""

    def test_every_recorded_stream_is_kept_in_the_chunks_it_came_in(self, stream_: Message) -> None:
        assert self._objects(stream_.body) == list(self._reply(stream_).chunks)

    def test_a_recorded_stream_that_broke_off_assembles_to_nothing(self, broken_stream_: Message) -> None:
        why = self.unread.get(broken_stream_.name, Unstored.CUT_SHORT)

        assert why is self.assembled(broken_stream_.body, self.choices.get(broken_stream_.case, 1))

    def test_a_recorded_stream_replayed_has_the_same_body_and_chunks(self, stream_: Message) -> None:
        reply = self._reply(stream_)
        again = self.assembled(self._bytes(reply), self.choices.get(stream_.case, 1))

        assert reply == again

    def test_a_stream_cut_after_any_frame_assembles_to_nothing(self, stream_: Message) -> None:
        frames, choices = self._frames(stream_.body), self.choices.get(stream_.case, 1)
        for count in range(len(frames)):
            assert self.dialect.assemble(frames[:count], choices) is Unstored.CUT_SHORT, count

    def test_a_stream_cut_at_any_byte_assembles_to_nothing(self) -> None:
        shortest = min(self._streams(whole=True), key=lambda m: len(m.body))
        choices = self.choices.get(shortest.case, 1)
        for end in range(len(shortest.body)):
            assert isinstance(self.assembled(shortest.body[:end], choices), Unstored), end

    def test_a_stream_with_anything_else_in_any_place_raises_nothing(self) -> None:
        shortest = min(self._streams(whole=True), key=lambda m: len(m.body))
        frames, choices = self._frames(shortest.body), self.choices.get(shortest.case, 1)
        for number, frame in enumerate(frames):
            if frame.data.startswith("{"):
                value = orjson.loads(frame.data)
                for path, other in product(leaves(value), ODDITIES):
                    odd = replace(frame, data=orjson.dumps(replaced_at(value, path, other)).decode())
                    self.assert_usable(self.dialect.assemble([*frames[:number], odd, *frames[number + 1 :]], choices))

    def test_a_stream_that_lost_a_frame_with_a_finish_reason_is_not_whole(self, stream_: Message) -> None:
        frames = self._frames(stream_.body)
        left = [frame for frame in frames if self.closing not in frame.data]

        assert len(left) < len(frames)
        assert self.dialect.assemble(left, self.choices.get(stream_.case, 1)) is Unstored.CUT_SHORT

    def test_any_chunking_of_the_bytes_gives_the_same_frames(self, stream_: Message) -> None:
        expected = self._frames(stream_.body)

        @examples(10)
        @given(st.lists(st.integers(0, len(stream_.body)), max_size=12))
        def check(places: list[int]) -> None:
            framing = self.dialect.framing()
            ends = [0, *sorted(places), len(stream_.body)]
            pieces = [stream_.body[start:end] for start, end in pairwise(ends)]

            assert expected == [frame for piece in pieces for frame in framing.feed(piece)]
            assert framing.rest() == b""

        check()

    def test_renew_changes_a_stream_alike_in_every_chunk(self, stream_: Message) -> None:
        reply = self._reply(stream_)

        assert len(self._values(reply, self.ids)) >= len(self.ids)
        assert bool(self.times) == bool(self._values(reply, self.times))
        self.assert_renewed(reply)

    def test_a_stream_told_to_another_client_as_it_comes_is_the_replay_of_it(self, stream_: Message) -> None:
        reply, choices = self._reply(stream_), self.choices.get(stream_.case, 1)
        for include_usage in (True, False):
            question = replace(self._asked(), include_usage=include_usage)
            retelling = Retelling(self.dialect, self._asked(), question, FRESH)
            pieces = [stream_.body[at : at + 50] for at in range(0, len(stream_.body), 50)]
            told = self.assembled(b"".join(map(retelling.feed, pieces)), choices)
            replayed = self.dialect.stream(self.dialect.renew(reply, question, FRESH), include_usage)
            replay = self.assembled(b"".join(map(self.dialect.encode, replayed)), choices)

            assert isinstance(told, Reply)
            assert isinstance(replay, Reply)
            assert self._without_ids(told) == self._without_ids(replay)
            assert self._values(told, self.times) == self._values(replay, self.times)
            for name in set(self.ids) & reply.body.keys():
                assert told.body[name] == replay.body[name] != reply.body[name]

    def test_a_stream_with_anything_else_in_any_place_is_told_or_refused(self) -> None:
        shortest = min(self._streams(whole=True), key=lambda m: len(m.body))
        for frame in self._frames(shortest.body):
            if frame.data.startswith("{"):
                value = orjson.loads(frame.data)
                for path, other in product(leaves(value), ODDITIES):
                    odd = replace(frame, data=orjson.dumps(replaced_at(value, path, other)).decode())
                    with suppress(ValueError):
                        self.dialect.retell(self._asked(), self._asked(), FRESH)(odd)

    def test_a_recorded_reply_made_into_a_stream_and_back_has_the_same_body(self, reply_: Message) -> None:
        reply = self.dialect.whole(reply_.body)
        if isinstance(reply, Reply):
            self.assert_survives_streaming(reply)

    def test_any_reply_made_into_a_stream_and_back_has_the_same_body(self) -> None:
        @examples(15)
        @given(self.whole_bodies)
        def check(body: dict[str, Any]) -> None:
            reply = self.dialect.whole(orjson.dumps(body))
            assert isinstance(reply, Reply)
            self.assert_survives_streaming(reply)

        check()

    def assert_survives_streaming(self, reply: Reply) -> None:
        again = self.assembled(self._bytes(reply), self.answers(reply))

        assert isinstance(again, Reply), again
        assert reply.body == again.body
        assert self.dialect.usage(reply) == self.dialect.usage(again)
        assert self.dialect.text(reply) == self.dialect.text(again)
        assert self.dialect.unstorable(reply) == self.dialect.unstorable(again)

    # What the tests above are written in

    def answers(self, reply: Reply) -> int:
        """How many answers a reply holds."""
        return len(reply.body["choices"])

    def assembled(self, body: bytes, choices: int) -> Reply | Unstored:
        framing = self.dialect.framing()
        frames = framing.feed(body)
        return Unstored.CUT_SHORT if framing.rest() else self.dialect.assemble(frames, choices)

    def _reply(self, stream_: Message) -> Reply:
        reply = self.assembled(stream_.body, self.choices.get(stream_.case, 1))
        assert isinstance(reply, Reply)
        return reply

    def _frames(self, body: bytes) -> list[Frame]:
        return self.dialect.framing().feed(body)

    def _objects(self, body: bytes) -> list[Any]:
        objects = [orjson.loads(frame.data) for frame in self._frames(body) if frame.data.startswith("{")]
        return [each for each in objects if each.get("type") not in self.heartbeats]

    def _bytes(self, reply: Reply) -> bytes:
        return b"".join(map(self.dialect.encode, self.dialect.stream(reply, True)))
