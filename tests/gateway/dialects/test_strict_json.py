from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cache.keys import canonical
from gateway.dialects.strict_json import as_text, read_object
from gateway.question import Bypass, NotCacheable
from tests.examples import examples

LONG = "A" * 5000  # a picture's base64 is cut out before the strict reading


def refusal(body: bytes | str) -> Bypass:
    with pytest.raises(NotCacheable) as refused:
        read_object(body.encode() if isinstance(body, str) else body)
    return refused.value.why


@pytest.mark.parametrize("body", ["", "{", "nul", "{'a': 1}", '{"a": 1,}', '{"a": NaN}', '{"a": Infinity}', "{} {}"])
def test_what_does_not_parse_is_not_json(body: str) -> None:
    assert Bypass.NOT_JSON is refusal(body)


@pytest.mark.parametrize(
    "body",
    [b'\xff{"a": 1}', b'{"a": "\xff"}', b'\xef\xbb\xbf{"a": 1}', '{"a": 1}'.encode("utf-16"), b'{"a": "\\ud800"}'],
)
def test_what_is_not_utf8_is_not_json(body: bytes) -> None:
    assert Bypass.NOT_JSON is refusal(body)


@pytest.mark.parametrize("head", [b"data:image/\xf6;base64,", b"data:a\nb;base64,", b"data:\0;base64,"])
def test_what_is_no_text_in_the_head_of_a_long_data_url_is_not_json(head: bytes) -> None:
    assert Bypass.NOT_JSON is refusal(b'{"image": "' + head + LONG.encode() + b'"}')


@pytest.mark.parametrize("odd", [b"\n", b"\t", b"\0", b"\xf6"])
def test_what_is_no_text_in_a_data_url_of_no_picture_is_not_json(odd: bytes) -> None:
    value = read_object(b'{"image": "data:image/png;base64,' + LONG.encode() + odd + b'"}')

    with pytest.raises(NotCacheable) as refused:
        as_text(value)
    assert Bypass.NOT_JSON is refused.value.why


@pytest.mark.parametrize("body", ["null", "[]", "7", '"text"', '[{"a": 1}]'])
def test_json_that_is_no_object_has_another_shape(body: str) -> None:
    assert Bypass.UNKNOWN_SHAPE is refusal(body)


@pytest.mark.parametrize(
    "body",
    [
        '{"a": 1, "a": 2}',
        '{"a": 1, "a": 1}',
        '{"a": 1, "\\u0061": 2}',
        '{"a": {"b": 1, "c": 2, "b": 3}}',
        '{"a": [{"b": 1, "b": 1}]}',
        f'{{"a": "{LONG}", "b": 1, "a": 2}}',
        f'{{"a": 1, "b": "{LONG}", "a": 2}}',
        f'{{"{LONG}": 1, "{LONG}": 2}}',
        f'{{"a": "{LONG}\\"", "b": 1, "b": 2}}',
        f'{{"a": "\\"{LONG}", "b": 1, "b": 2}}',
        f'{{"a": "{LONG}\\\\", "b": 1, "b": 2}}',
        f'{{"a": "\\"", "b": "{LONG}", "b": "\\"{LONG}"}}',
    ],
)
def test_a_key_twice_in_one_object_is_ambiguous(body: str) -> None:
    assert Bypass.AMBIGUOUS_JSON is refusal(body)


@pytest.mark.parametrize(
    "number",
    ["9223372036854775808", "-9223372036854775809", "1234567890123456789", "1" * 30, "1e400", "-1e400"],
)
def test_a_number_that_servers_round_differently_is_ambiguous(number: str) -> None:
    assert refusal(f'{{"seed": {number}}}') in (Bypass.AMBIGUOUS_JSON, Bypass.NOT_JSON)
    assert refusal(f'{{"a": "{LONG}", "seed": [{number}]}}') in (Bypass.AMBIGUOUS_JSON, Bypass.NOT_JSON)


@pytest.mark.parametrize("number", ["123456789012345678", "-123456789012345678", "0", "-0", "1e10", "0.1", "1e-400"])
def test_a_number_that_every_server_reads_alike_is_read(number: str) -> None:
    assert orjson.loads(number) == read_object(f'{{"seed": {number}}}'.encode())["seed"]


def test_nothing_is_lost_where_long_strings_are_skipped() -> None:
    value = {"a": LONG, "b": [f'quote " {LONG}', {"c": LONG + "\\"}], LONG: f"{LONG}\n{LONG}", "d": "é中" * 3000}

    assert value == read_object(orjson.dumps(value))
    assert value == read_object(orjson.dumps(value, option=orjson.OPT_INDENT_2))


@pytest.mark.parametrize("body", [f'{{"a": [{"1, " * 2000}1]}}', f'{{"a": 1{" " * 3000}}}', f'{" " * 3000}{{"a": 1}}'])
def test_much_that_is_no_string_is_read_all_the_same(body: str) -> None:
    assert orjson.loads(body) == read_object(body.encode())


@pytest.mark.parametrize("depth", [200, 300, 600, 990, 5000])
def test_what_is_read_is_never_too_deep_to_be_a_key(depth: int) -> None:
    body = b'{"a":' * depth + b"1" + b"}" * depth
    if depth > 200:
        assert refusal(body) in (Bypass.AMBIGUOUS_JSON, Bypass.NOT_JSON)
    else:
        assert body == canonical(read_object(body))


def test_a_body_of_countless_small_values_is_too_large_to_be_read() -> None:
    many = b'{"a": [' + b"1," * 3_000_000 + b"1]}"

    assert Bypass.BODY_TOO_LARGE is refusal(many)
    assert read_object(b'{"a": ["' + b"A" * 6_000_000 + b'"]}')


_KEYS = st.sampled_from(["a", "b", "", '"', "\\", 'a"', "é"]) | st.text(max_size=3)
_STRINGS = st.sampled_from([LONG, LONG + "\\", LONG + '"', '"' + LONG, '\\"' + LONG, '"', "\\", ""]) | st.text(
    max_size=9
)
_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**17), 10**17) | st.floats(-1e300, 1e300) | _STRINGS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_KEYS, inner, max_size=3),
    max_leaves=8,
)


@examples(30)
@given(st.dictionaries(_KEYS, _VALUES, max_size=4))
def test_any_object_with_one_meaning_is_read_as_it_is(value: dict[str, Any]) -> None:
    assert value == read_object(orjson.dumps(value))


@examples(30)
@given(st.dictionaries(_KEYS, _VALUES, min_size=1, max_size=4), st.data())
def test_any_object_with_a_key_twice_is_refused(value: dict[str, Any], data: st.DataObject) -> None:
    members = [orjson.dumps({key: item})[1:-1] for key, item in value.items()]
    again = data.draw(st.sampled_from(sorted(value)))
    members.insert(data.draw(st.integers(0, len(members))), orjson.dumps({again: data.draw(_VALUES)})[1:-1])
    body = b"{" + b",".join(members) + b"}"

    assert Bypass.AMBIGUOUS_JSON is refusal(body)
    assert Bypass.AMBIGUOUS_JSON is refusal(b'{"outer":[' + body + b"]}")
