"""A question as a body."""

import json
from pathlib import Path
from typing import Any

import pytest

from gateway.bulk.items import Posted, Recipe
from gateway.warm.compose import Shape, compose, data_url, template_wrong, wrong
from tests.fakes.pictures import card

URL = "data:image/png;base64,AAAA"


def body(asks: Recipe | Posted, shape: Shape = Shape("m")) -> dict[str, Any]:  # noqa: B008 - a value
    return json.loads(compose(asks, [URL] * (len(asks.pictures) if isinstance(asks, Recipe) else 0), shape)[1])


def test_a_recipe_is_a_picture_then_the_text_in_one_message():
    assert body(Recipe(("a.png",), "Price?", parameters={"temperature": 0})) == {
        "model": "m",
        "messages": [
            {
                "role": "user",
                "content": [{"type": "image_url", "image_url": {"url": URL}}, {"type": "text", "text": "Price?"}],
            }
        ],
        "temperature": 0,
    }


def test_a_system_text_comes_first_and_a_rows_own_model_counts():
    made = body(Recipe(("a.png", "b.png"), "?", system="Be brief.", model="own"))

    assert made["model"] == "own"
    assert made["messages"][0] == {"role": "system", "content": "Be brief."}
    assert len(made["messages"][1]["content"]) == 3


def test_a_template_says_any_other_shape_and_what_is_filled_in_is_no_template():
    content = [
        {"type": "text", "text": "Q: {prompt}"},
        {"type": "image", "source": {"type": "base64", "media_type": "{picture_type}", "data": "{picture_base64}"}},
    ]
    shape = Shape("m", "/v1/messages", {"max_tokens": 9, "messages": [{"role": "user", "content": content}]})
    made = body(Recipe(("a.png",), "{system}{picture}"), shape)

    assert made["messages"][0]["content"] == [
        {"type": "text", "text": "Q: {system}{picture}"},
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}},
    ]
    assert (made["model"], made["max_tokens"]) == ("m", 9)


@pytest.mark.parametrize("template", [[], {}, {"a": "{picture}"}, {"a": "{prompt}"}])
def test_a_template_without_its_places_is_refused(template: Any):
    assert template_wrong(template)


def test_a_body_is_posted_as_it_is_but_in_one_piece():
    posted = Posted("/v1/chat/completions", {"model": "own", "stream": True, "stream_options": {}, "x": 1})

    assert body(posted) == {"model": "own", "stream": False, "x": 1}
    assert body(Posted("/v1/chat/completions", {"x": 1})) == {"x": 1, "model": "m"}
    assert body(Posted("/api/chat", {"model": "m"})) == {"model": "m", "stream": False}


def test_what_no_body_can_be_made_of_is_said():
    template = {"a": "{picture}{prompt}", "s": "{system}"}

    assert "no model" in str(wrong(Recipe(("a",), "?"), Shape()))
    assert "2 pictures" in str(wrong(Recipe(("a", "b"), "?"), Shape(template=template)))
    assert "no system text" in str(wrong(Recipe(("a",), "?"), Shape(template=template)))
    assert wrong(Recipe(("a",), "?", model="m"), Shape()) is None


def test_another_shape_is_another_question():
    shapes = [Shape(), Shape("m"), Shape("m", "/v1/x"), Shape("m", template={"a": 1})]

    assert len({shape.digest() for shape in shapes}) == 4


@pytest.mark.parametrize(
    ("data", "kind"), [(card("48.20"), "png"), (b"\xff\xd8\xff\xe0", "jpeg"), (b"RIFF1234WEBP", "webp"), (b"?", "*")]
)
def test_a_file_is_named_by_what_it_is_not_by_its_suffix(data: bytes, kind: str, tmp_path: Path):
    (tmp_path / "a.gif").write_bytes(data)

    assert data_url(str(tmp_path / "a.gif")).startswith(f"data:image/{kind};base64,")
