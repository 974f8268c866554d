import json
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.dialects.splice import spliced
from tests.examples import examples

URL = "https://host/a.png?sig=1"
DATA = b"data:image/png;base64,AAAA"


def test_only_the_url_changes_and_every_other_byte_stays() -> None:
    body = '{ "b" :1.0,\n"url": "https://host/a.png?sig=1" ,"text":"see \\"é\\"", "n":[ 1e5,null ] }'.encode()

    assert body.replace(URL.encode(), DATA) == spliced(body, [URL], {URL: DATA})


@pytest.mark.parametrize("written", ["https:\\/\\/host\\/a.png?sig=1", "https://host/a.png?sig\\u003d1"])
def test_an_escaped_url_is_found(written: str) -> None:
    assert (
        spliced(f'{{"url":"{written}","x":"\\\\"}}'.encode(), [URL], {URL: DATA}) == b'{"url":"%b","x":"\\\\"}' % DATA
    )


def test_one_url_in_two_places_is_replaced_in_both() -> None:
    assert spliced(json.dumps([URL, URL]).encode(), [URL, URL], {URL: DATA}) == json.dumps([DATA.decode()] * 2).encode()


@pytest.mark.parametrize("more", [{"text": URL}, {URL: 1}])
def test_a_url_that_stands_elsewhere_too_is_left_alone(more: dict[str, Any]) -> None:
    assert spliced(json.dumps({"url": URL} | more).encode(), [URL], {URL: DATA}) is None


def test_a_url_that_is_not_there_is_told() -> None:
    assert spliced(b'{"url":"https://host/b.png"}', [URL], {URL: DATA}) is None


def test_a_url_inside_a_longer_string_is_text() -> None:
    body = json.dumps({"text": f"look at {URL}, or {URL}", "url": URL}).encode()

    assert json.loads(spliced(body, [URL], {URL: DATA}) or b"") == json.loads(body) | {"url": DATA.decode()}


def test_pictures_that_are_in_the_body_already_stay_there() -> None:
    body = json.dumps({"pictures": ["data:;base64,BBBB", URL]}).encode()

    assert body.replace(URL.encode(), DATA) == spliced(body, ["data:;base64,BBBB", URL], {URL: DATA})


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-99, 99) | st.text(max_size=8) | st.just('"\\'),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=12,
)


@examples(60)
@given(VALUES, VALUES, st.text(min_size=9, max_size=12), st.booleans(), st.sampled_from([None, 1]))
def test_any_body_is_the_same_but_for_the_url(
    before: Any, after: Any, url: str, ascii: bool, indent: int | None
) -> None:
    body = json.dumps([before, {"url": url}, after], ensure_ascii=ascii, indent=indent).encode("utf-8", "surrogatepass")
    changed = spliced(body, [url], {url: DATA})

    assert changed is not None
    assert orjson.loads(changed) == [before, {"url": DATA.decode()}, after]
    assert len(changed) - len(DATA) == len(body) - len(json.dumps(url, ensure_ascii=ascii).encode()) + 2
