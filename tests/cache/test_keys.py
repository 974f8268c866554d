import dataclasses
import random
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from cache import keys
from cache.keys import Scope, ask, canonical, digest_bytes

SCOPE = Scope(
    "tenant", "openai-chat", "https://api.example/v1", "/v1/chat/completions", "qwen3-vl-8b", (("openai-beta", "x"),)
)

_EXACT = st.integers(-(2**53) + 1, 2**53 - 1)
_LEAVES = st.none() | st.booleans() | _EXACT | st.floats(allow_nan=False, allow_infinity=False) | st.text()
VALUES = st.recursive(
    _LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4), max_leaves=12
)


def respelled(value: Any, chance: random.Random) -> Any:
    """The same JSON value: keys in another order, whole numbers as floats or back."""
    if isinstance(value, dict):
        items = [(key, respelled(item, chance)) for key, item in value.items()]
        chance.shuffle(items)
        return dict(items)
    if isinstance(value, list):
        return [respelled(item, chance) for item in value]
    if isinstance(value, int) and not isinstance(value, bool) and chance.random() < 0.5:
        return float(value)
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return int(value)
    return value


def plain(value: Any) -> Any:
    """What a JSON value means: numbers by value, true and 1 apart. Not how canonical() does it."""
    if isinstance(value, dict):
        return ("object", frozenset((key, plain(item)) for key, item in value.items()))
    if isinstance(value, list):
        return ("array", tuple(map(plain, value)))
    return ("bool" if isinstance(value, bool) else "number" if isinstance(value, int | float) else "leaf", value)


@given(value=VALUES, seed=st.integers())
def test_key_order_and_spelling_of_numbers_change_nothing(value: Any, seed: int) -> None:
    assert canonical(value) == canonical(respelled(value, random.Random(seed)))


@given(one=VALUES, other=VALUES)
def test_different_values_have_different_bytes(one: Any, other: Any) -> None:
    assert (canonical(one) == canonical(other)) == (plain(one) == plain(other))


@given(
    question=st.dictionaries(st.text(), VALUES, min_size=1, max_size=5),
    data=st.data(),
    files=st.lists(st.text(), max_size=3),
)
def test_any_other_change_of_the_question_is_another_key(question: Any, data: st.DataObject, files: list[str]) -> None:
    changed = dict(question)
    key = data.draw(st.sampled_from(sorted(question)))
    if data.draw(st.booleans()):
        del changed[key]
    else:
        changed[key] = data.draw(VALUES)
    assume(plain(changed) != plain(question))

    before, after = ask(SCOPE, question, files), ask(SCOPE, changed, files)
    assert before.partition != after.partition
    assert before.exact != after.exact
    assert before.pixel(files) != after.pixel(files)


@pytest.mark.parametrize("field", [field.name for field in dataclasses.fields(Scope)])
def test_every_field_of_the_scope_is_in_the_key(field: str) -> None:
    before = getattr(SCOPE, field)
    other = dataclasses.replace(SCOPE, **{field: (*before, ("a", "b")) if isinstance(before, tuple) else before + "x"})

    assert ask(SCOPE, {}, []).partition != ask(other, {}, []).partition


@given(parts=st.lists(st.text(max_size=3), max_size=4), other=st.lists(st.text(max_size=3), max_size=4))
def test_parts_cannot_slide_into_each_other(parts: list[str], other: list[str]) -> None:
    asked = ask(SCOPE, {}, parts)

    assert (asked.exact == ask(SCOPE, {}, other).exact) == (parts == other)
    assert (asked.pixel(parts) == asked.pixel(other)) == (parts == other)


def test_the_pictures_are_in_the_exact_key_and_not_in_the_partition() -> None:
    one, other = ask(SCOPE, {"a": 1}, ["f1", "f2"]), ask(SCOPE, {"a": 1}, ["f2", "f1"])

    assert one.partition == other.partition
    assert one.exact != other.exact
    assert one.exact != one.pixel(["f1", "f2"])


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -float("inf")])
def test_what_is_no_json_is_refused(number: float) -> None:
    with pytest.raises(ValueError, match="not JSON"):
        canonical({"temperature": number})


def test_golden_bytes_and_digests() -> None:
    # Should one of these change, every stored answer of every user is lost: then raise the store's format, too.
    question = {"b": [1.0, 1.5, -0.0, True, None], "a": {"prompt": "was ist das? 图"}}
    asked = ask(SCOPE, question, ["f1", "f2"])

    assert canonical(question) == '{"a":{"prompt":"was ist das? 图"},"b":[1,1.5,0,true,null]}'.encode()
    assert digest_bytes(b"") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert asked.partition == "2d570c70680820484858778c491743e63af68beb9fd84cc4a05f876c1471a293"
    assert asked.exact == "ae1d4e9fd1019d5cb56537b591dfd014379c5f5d6f8c5aa749252dbb41daaf9f"
    assert asked.pixel(["p1", "p2"]) == "3a972bc9e490bcbe41c234884143a259ec6408fe6706fdb10409bd4aeea75b84"


def test_what_is_stored_does_not_tell_whether_a_known_picture_was_asked() -> None:
    # Whoever has the rows has the partition. Nothing made of it and a picture's digests may be a key.
    asked = ask(SCOPE, "price?", ["f1"])
    as_if_root = dataclasses.replace(asked, root=asked.partition)

    assert asked.root not in (asked.partition, asked.exact, asked.pixel(["p1"]))
    assert as_if_root.pixel(["p1"]) != asked.pixel(["p1"])
    assert keys._digest("exact", asked.partition, "f1") != asked.exact
    assert asked.root not in repr(asked)
