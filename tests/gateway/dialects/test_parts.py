from typing import Any

import pytest

from gateway.dialects.fields import without_nulls
from gateway.dialects.parts import prompt_of, take_pictures
from gateway.question import Bypass, NotCacheable, PictureRef

URL = "data:image/png;base64,AAAA"
OTHER = "data:image/png;base64,BBBB"


def picture(url: str = URL, **fields: Any) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": url, **fields}}


def user(*parts: object, **fields: Any) -> dict[str, Any]:
    return {"role": "user", "content": list(parts), **fields}


def text(words: str) -> dict[str, Any]:
    return {"type": "text", "text": words}


def refusal(messages: object) -> Bypass:
    with pytest.raises(NotCacheable) as refused:
        take_pictures(messages)
    return refused.value.why


def kept(part: dict[str, Any]) -> dict[str, Any]:
    (message,), _ = take_pictures([user(part)])
    first: dict[str, Any] = message["content"][0]
    return first


def test_each_picture_leaves_its_number_where_it_was() -> None:
    messages, pictures = take_pictures([user(picture(URL), text("and"), picture(OTHER)), user(picture(URL))])

    assert (PictureRef(URL), PictureRef(OTHER), PictureRef(URL)) == pictures
    places = [part["image_url"]["url"] for message in messages for part in message["content"] if "image_url" in part]
    assert places == [{"picture": 0}, {"picture": 1}, {"picture": 2}]


def test_the_order_of_pictures_and_text_is_kept() -> None:
    before, _ = take_pictures([user(picture(), text("What?"))])
    after, _ = take_pictures([user(text("What?"), picture())])

    assert before != after


def test_the_messages_given_are_not_touched() -> None:
    given = [user(picture(detail=None), uuid=None)]
    take_pictures(given)

    assert [user(picture(detail=None), uuid=None)] == given


def test_a_bare_string_is_the_same_picture_as_an_object() -> None:
    assert kept(picture()) == kept({"type": "image_url", "image_url": URL})


def test_text_in_any_role_is_kept_as_it_is() -> None:
    messages = [
        {"role": "system", "content": "Be terse."},
        {"role": "assistant", "content": None, "tool_calls": [{"id": "1", "arguments": None}]},
        {"role": "tool", "content": [text("7")], "name": "f"},
    ]
    expected = [messages[0], {"role": "assistant", "tool_calls": [{"id": "1", "arguments": None}]}, messages[2]]

    assert (expected, ()) == take_pictures(messages)


def test_unknown_fields_of_a_message_a_part_and_a_picture_are_kept() -> None:
    assert kept(picture(min_pixels=4, detail="low"))["image_url"] == {
        "min_pixels": 4,
        "detail": "low",
        "url": {"picture": 0},
    }
    assert kept(picture() | {"max_frames": 2})["max_frames"] == 2
    assert take_pictures([user(text("a"), partial=True)])[0][0]["partial"] is True


@pytest.mark.parametrize(
    "part",
    [
        picture() | {"cache_control": {"type": "ephemeral"}},
        picture() | {"prompt_cache_breakpoint": True},
        picture() | {"uuid": None},
        picture(detail=None),
    ],
)
def test_hints_and_names_beside_a_picture_do_not_count(part: dict[str, Any]) -> None:
    assert kept(picture()) == kept(part)


def test_a_name_that_a_server_may_know_the_picture_by_counts() -> None:
    assert kept(picture()) != kept(picture() | {"uuid": "picture-1"}) != kept(picture() | {"uuid": "picture-2"})


@pytest.mark.parametrize(
    "value",
    [
        *(None, {"detail": "low"}, {"url": None}, {"url": 7}, {"url": {"picture": 0}}, {"url": URL, "data": "AAAA"}),
        *({"data": 7}, 7, []),
    ],
)
def test_a_picture_without_its_bytes_is_refused(value: object) -> None:
    part = {"type": "image_url", "image_url": value, "uuid": "picture-1"}
    expected = Bypass.STATEFUL if value is None else Bypass.UNKNOWN_SHAPE

    assert expected is refusal([user(part)])


@pytest.mark.parametrize(
    "part",
    [
        {"type": "video_url", "video_url": {"url": URL}},
        {"type": "input_audio", "input_audio": {"data": "AAAA"}},
        {"type": "file", "file": {"file_id": "f"}},
        {"type": "image_embeds", "image_embeds": "AAAA"},
        {"type": "TEXT", "text": "a"},
        {"type": ["text"]},
        {"type": "video", "video": [URL], "fps": 2},
        {"video": URL},
        {},
        {"text": "a", "image_url": URL},
        None,
        7,
    ],
)
def test_a_part_of_a_kind_that_is_not_known_is_refused(part: object) -> None:
    assert Bypass.UNKNOWN_PART is refusal([user(picture(), part)])


@pytest.mark.parametrize(
    ("part", "found"),
    [
        ({"image_url": URL}, URL),  # vLLM, without a type
        ({"image_url": {"url": URL, "detail": "low"}}, URL),
        ({"type": "input_image", "image_url": URL, "detail": "auto"}, URL),  # vLLM, from Responses
        ({"type": "image", "image": URL}, URL),  # LMDeploy
        ({"type": "image", "image": {"url": URL, "max_pixels": 9}}, URL),
        ({"type": "image_data", "image_data": {"data": "AAAA"}}, "data:;base64,AAAA"),
        ({"type": "image_data", "image_data": {"data": URL}}, URL),
        ({"type": "image_url", "image_url": {"url": "/9j/4AAQ"}}, "/9j/4AAQ"),  # SGLang, llama.cpp: base64 alone
    ],
)
def test_a_picture_is_found_however_a_server_lets_it_be_written(part: dict[str, Any], found: str) -> None:
    (message,), pictures = take_pictures([user(part)])

    assert (PictureRef(found),) == pictures
    assert "AAAA" not in repr(message)


def test_fields_beside_a_picture_stay_in_every_spelling() -> None:
    part = kept({"type": "image", "image": {"url": URL, "max_pixels": 9}})

    assert part == {"type": "image", "image": {"max_pixels": 9, "url": {"picture": 0}}}
    assert kept({"image_url": URL, "min_pixels": 4}) == {"image_url": {"url": {"picture": 0}}, "min_pixels": 4}


def test_pictures_in_any_role_count_a_tools_too() -> None:
    messages = [
        {"role": "system", "content": [picture(URL)]},
        {"role": "tool", "tool_call_id": "c", "content": [text("seen"), picture(OTHER)]},
    ]
    kept_, pictures = take_pictures(messages)

    assert (PictureRef(URL), PictureRef(OTHER)) == pictures
    assert kept_[1]["content"][1]["image_url"]["url"] == {"picture": 1}


def test_text_without_a_type_and_text_without_a_part_are_text() -> None:
    (message,), _ = take_pictures([user("one", {"text": "two"}, {"type": None, "text": "three"})])

    assert message["content"] == ["one", {"text": "two"}, {"text": "three"}]
    assert prompt_of([message]) == "one\ntwo\nthree"


@pytest.mark.parametrize(
    "part",
    [
        {"type": "input_image", "file_id": "f"},
        {"type": "image_url", "image_url": {"url": URL}, "file_id": "f"},
    ],
)
def test_a_picture_by_the_id_of_a_file_is_refused_by_that_name(part: dict[str, Any]) -> None:
    assert Bypass.PICTURE_BY_REFERENCE is refusal([user(part)])


@pytest.mark.parametrize("messages", [None, "Hello?", {}, 7, ["Hello?"], [user(text("a")), None], [{"content": 7}]])
def test_messages_of_another_shape_are_refused(messages: object) -> None:
    assert Bypass.UNKNOWN_SHAPE is refusal(messages)


@pytest.mark.parametrize("content", [{"type": "text"}, 7, True, 0, False])
def test_content_that_is_neither_text_nor_parts_is_refused(content: object) -> None:
    assert Bypass.UNKNOWN_SHAPE is refusal([{"role": "user", "content": content}])


def test_nulls_are_unset_on_one_level_only() -> None:
    assert without_nulls({"a": {"b": None}, "c": [None], "d": 0, "e": "", "f": None}) == {
        "a": {"b": None},
        "c": [None],
        "d": 0,
        "e": "",
    }


def test_the_prompt_is_all_text_that_is_not_the_models_or_a_tools() -> None:
    messages = [
        {"role": "system", "content": "one"},
        {"role": "developer", "content": [text("two")]},
        user(picture(), text("three"), text("four")),
        {"role": "assistant", "content": "not this"},
        {"role": "tool", "content": "nor this"},
        {"role": ["odd"], "content": "five"},
        {"content": "six"},
        {"role": "user", "content": None},
    ]

    assert prompt_of(take_pictures(messages)[0]) == "one\ntwo\nthree\nfour\nfive\nsix"


@pytest.mark.parametrize("odd", [{"type": "text"}, {"type": "text", "text": 5}, {"type": "text", "text": None}])
def test_a_text_part_without_text_adds_nothing_to_the_prompt(odd: dict[str, Any]) -> None:
    assert prompt_of([user(odd, text("read"))]) == "read"
