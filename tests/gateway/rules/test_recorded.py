"""What real servers sent, edited: every recorded reply of every dialect, whole, as a stream, in any chunking."""

from collections.abc import Iterator
from itertools import pairwise, product

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.dialects import DIALECTS
from gateway.dialects.base import Dialect
from gateway.dialects.texts import Change
from gateway.question import Reply
from gateway.rules.book import Facing, Facts, Rulebook
from gateway.rules.edit import Report, edited
from gateway.rules.live import Live
from gateway.rules.settings import Rule
from tests.contracts.dialect_contract import ODDITIES, leaves, replaced_at
from tests.examples import examples
from tests.wire.recorded import Message, replies

BEFORE, AFTER = Rule(prepend="先说：🚀 "), Rule(append="\n\nSee apple.com 🍏")
IF_TEXT = Rule(contains=("e", "的", "0"), append=" [told]")
REPLACING = Rule(replace=({"pattern": r"[aeiou一-龥]", "with": r"<\g<0>>"},))  # type: ignore[arg-type]
SPOKEN = [(dialect, reply) for dialect in DIALECTS for reply in replies(dialect.name.replace("-", "_"))]
STREAMED = [(dialect, reply) for dialect, reply in SPOKEN if reply.streamed and reply.status == 200]
CHOICES = {"46-n2-stream-usage": 2, "stream-n2": 2}


def named(pairs: list[tuple[Dialect, Message]]) -> list[str]:
    return [f"{dialect.name} {reply.name}" for dialect, reply in pairs]


def facing(dialect: Dialect, *rules: Rule) -> Facing:
    found = Rulebook(rules).facing(Facts(dialect.name, "miss"))
    assert found is not None
    return found


def read(dialect: Dialect, reply: Message, data: bytes) -> Reply | None:
    """The reply as its own dialect reads it; None if it is no whole answer."""
    if not reply.streamed:
        found = dialect.whole(data)
    else:
        framing = dialect.framing()
        found = dialect.assemble(framing.feed(data), CHOICES.get(reply.case, 1))
    return found if isinstance(found, Reply) else None


def texts(dialect: Dialect, reply: Reply) -> list[str]:
    """The text of each answer that has any place for it."""
    found = dialect.texts.whole(reply.body)
    numbers = sorted({piece.answer for piece in found.pieces})
    return ["".join(piece.text for piece in found.pieces if piece.answer == number) for number in numbers]


def sealed(dialect: Dialect, reply: Reply) -> bool:
    return bool(dialect.texts.whole(reply.body).sealed)


def without_text(dialect: Dialect, reply: Reply) -> object:
    for piece in dialect.texts.whole(reply.body).pieces:
        piece.put("")
    return reply.body


def live(dialect: Dialect, rules: Facing, pieces: Iterator[bytes]) -> tuple[bytes, Report]:
    report = Report()
    editor = Live(dialect, rules, 2**30, report)
    passed = b"".join(map(editor.feed, pieces))
    return passed + editor.rest(), report


@pytest.mark.parametrize(("dialect", "reply"), SPOKEN, ids=named(SPOKEN))
def test_a_whole_reply_gets_its_text_edited_and_nothing_else(dialect: Dialect, reply: Message):
    report = Report()
    made = edited(dialect, facing(dialect, BEFORE, AFTER, REPLACING), reply.body, reply.streamed, report)
    before, after = read(dialect, reply, reply.body), read(dialect, reply, made)

    if before is None or sealed(dialect, before) or not any(texts(dialect, before)):
        assert made == reply.body or before is None
        return
    assert after is not None
    told = texts(dialect, after)
    answered = [answer for answer in report.answers if answer.text]
    assert [answer.text for answer in answered] == [text for text in texts(dialect, before) if text]
    assert [answer.delivered for answer in answered] == [text for text in told if text]
    assert all(text.startswith("先说：🚀 ") and text.endswith("🍏") for text in told if text)
    assert without_text(dialect, before) == without_text(dialect, after)
    assert dialect.usage(before) == dialect.usage(after)


@pytest.mark.parametrize(("dialect", "reply"), SPOKEN, ids=named(SPOKEN))
def test_where_no_rule_changes_the_text_every_byte_is_the_upstreams(dialect: Dialect, reply: Message):
    rules = facing(dialect, Rule(contains=("never said by anyone",), append="x", tag=("t",)))

    assert edited(dialect, rules, reply.body, reply.streamed, Report()) == reply.body
    if reply.streamed:
        assert live(dialect, rules, iter([reply.body]))[0] == reply.body


@pytest.mark.parametrize(("dialect", "reply"), STREAMED, ids=named(STREAMED))
def test_a_stream_edited_as_it_comes_is_the_one_that_was_edited_whole(dialect: Dialect, reply: Message):
    rules = facing(dialect, AFTER, IF_TEXT, *([BEFORE] if dialect.texts.begins_at_once else []))
    assert Live.serves(dialect, rules)
    at_once, report = live(dialect, rules, iter([reply.body]))
    whole = Report()
    held = edited(dialect, rules, reply.body, True, whole)
    first, second = read(dialect, reply, at_once), read(dialect, reply, held)

    assert report.left_alone is None
    if read(dialect, reply, reply.body) is not None:
        assert first is not None
        assert second is not None
        assert first.body == second.body
        assert report.answers == whole.answers
        assert texts(dialect, first) == [answer.delivered for answer in report.answers][: len(texts(dialect, first))]


@pytest.mark.parametrize(("dialect", "reply"), STREAMED, ids=named(STREAMED))
def test_any_chunking_of_a_stream_comes_to_the_same(dialect: Dialect, reply: Message):
    rules = facing(dialect, AFTER, IF_TEXT)
    expected, _ = live(dialect, rules, iter([reply.body]))

    @examples(8)
    @given(st.lists(st.integers(0, len(reply.body)), max_size=12))
    def check(cuts: list[int]) -> None:
        ends = [0, *sorted(cuts), len(reply.body)]
        pieces = (reply.body[begin:end] for begin, end in pairwise(ends))
        assert live(dialect, rules, pieces)[0] == expected

    check()
    assert live(dialect, rules, (reply.body[n : n + 1] for n in range(len(reply.body))))[0] == expected


@pytest.mark.parametrize("dialect", DIALECTS, ids=[dialect.name for dialect in DIALECTS])
def test_a_chunk_with_anything_else_in_any_place_raises_nothing(dialect: Dialect):
    texts = dialect.texts
    sent = [reply for spoken, reply in STREAMED if spoken is dialect]
    frames = max((dialect.framing().feed(reply.body) for reply in sent), key=len, default=[])
    for frame in {frame.data[:60]: frame for frame in frames if frame.data.startswith("{")}.values():
        chunk = orjson.loads(frame.data)
        for path, other in product(leaves(chunk), ODDITIES):
            odd = replaced_at(chunk, path, other)
            assert all(isinstance(piece.text, str) for piece in texts.of(odd).pieces)
            assert isinstance(texts.closes(odd), bool)
            assert isinstance(texts.ends(odd), list)
            texts.settle(odd, {(0, 0): Change("a", "b")})


@pytest.mark.parametrize(("dialect", "reply"), STREAMED, ids=named(STREAMED))
def test_a_stream_that_is_cut_anywhere_stays_cut(dialect: Dialect, reply: Message):
    """Nothing is made up for it: held, it goes on as it came; as it comes, it has no end."""
    for end in range(0, len(reply.body), max(1, len(reply.body) // 20)):
        cut = reply.body[:end]
        whole = read(dialect, reply, cut)
        if whole is None or not any(texts(dialect, whole)):
            held = edited(dialect, facing(dialect, REPLACING), cut, True, Report())
            passed, _ = live(dialect, facing(dialect, AFTER), iter([cut]))

            assert read(dialect, reply, held) is None or whole is not None
            assert read(dialect, reply, passed) is None or whole is not None
