import base64
import hashlib
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.pictures import Picture
from gateway.question import Bypass, NotCacheable, PictureRef
from gateway.spelling import is_on_the_web, load
from tests.examples import examples
from tests.fakes.pictures import data_url
from tests.gateway.test_pictures import RGB, file, refusal


def read(url: str) -> Picture:
    return load(PictureRef(url))


DATA = bytes(range(250, 256)) + b"picture"
TEXT = base64.b64encode(DATA).decode()


@pytest.mark.parametrize(
    "url",
    [
        f"data:image/png;base64,{TEXT}",
        f"data:image/jpg;base64,{TEXT}",
        f"data:;base64,{TEXT}",
        f"data:image/png;charset=utf-8;base64,{TEXT}",
        f"DATA:IMAGE/PNG;BASE64,{TEXT}",
        f"data:image/png;base64,{TEXT.rstrip('=')}",
        f"data:image/png;base64,{TEXT}==",
        f"data:image/png;base64,{TEXT[:5]}\r\n{TEXT[5:]}\n",
        f"data:image/png;base64, \t{TEXT[:3]} {TEXT[3:]}",
    ],
)
def test_every_spelling_of_a_data_url_is_the_same_file(url: str) -> None:
    assert Picture(DATA, hashlib.sha256(DATA).hexdigest()) == read(url)


@pytest.mark.parametrize(
    "url",
    [
        *(
            "https://host/cat.png",
            "http://host/a,b;base64,AAAA",
            "file:///cat.png",
            "cat.png",
            "/cat.png",
            "oss://a/b",
            "",
        ),
        *(TEXT, base64.b64encode(DATA * 9).decode(), " data:image/png;base64,AAAA", "blob:data:image/png;base64,AAAA"),
    ],
)
def test_what_is_somewhere_else_is_a_reference(url: str) -> None:
    assert Bypass.PICTURE_BY_REFERENCE is refusal(lambda: read(url))


@pytest.mark.parametrize(
    "url",
    [
        *("data:", "data:image/png", "data:image/png,AAAA", "data:image/png;base64", "data:image/svg+xml,%3Csvg/%3E"),
        *(
            "data:image/png;base64,",
            "data:image/png;base64,====",
            "data:image/png;base64, \n",
            "data:image/png;base64,A",
        ),
        *(
            "data:image/png;base64,AA=AA",
            "data:image/png;base64,AA-_",
            "data:image/png;base64,AAé=",
            "data:;base64,AA%3D",
        ),
        *("data:image/png;base64,AAAA,AAAA", "data:image/png;base64,\x00AAA", f"data:{'x' * 300};base64,AAAA"),
    ],
)
def test_a_data_url_that_cannot_be_decoded_is_unreadable(url: str) -> None:
    assert Bypass.PICTURE_UNREADABLE is refusal(lambda: read(url))


@examples(40)
@given(st.binary(min_size=1, max_size=100), st.integers(1, 80))
def test_any_bytes_come_back_from_a_data_url_broken_into_lines(data: bytes, width: int) -> None:
    text = base64.b64encode(data).decode()
    lines = "\r\n".join(text[start : start + width] for start in range(0, len(text), width))

    assert data == read(f"data:image/png;base64,{text}").data == read(f"data:image/png;base64,{lines}").data


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "AVIF"])
def test_base64_alone_is_read_where_it_is_a_picture(form: str) -> None:
    data = file(RGB, form)
    text = base64.b64encode(data).decode()

    assert data == read(text).data == read(f"data:;base64,{text}").data


PNG = base64.b64encode(file(RGB)).decode()


@pytest.mark.parametrize(
    "text",
    [
        *(PNG[:36], PNG[:-1], PNG + "\n", PNG[:80] + "\n" + PNG[80:], f" {PNG}", PNG.replace("+", "-"), PNG + "===="),
        *(
            "/9j/" + "a" * 40 + ".jpg",
            "Qk" + "A" * 77,
            "A" * 80,
            "file" * 20,
            "iVBORw0KGgo/pictures/of/a/server/in/a/path/cat",
        ),
        base64.b64encode(b"%PDF-1.7 " * 9).decode(),
    ],
)
def test_base64_alone_that_is_not_flawless_or_no_picture_is_a_reference(text: str) -> None:
    assert Bypass.PICTURE_BY_REFERENCE is refusal(lambda: read(text))


@pytest.mark.parametrize(
    ("url", "web"),
    [
        *(("http://h/a", True), ("HTTPS://h/a", True), ("https://", True), ("file:///a", False), ("oss://a/b", False)),
        *(
            ("//h/a", False),
            (" http://h", False),
            ("data:text/plain,http://h", False),
            ("a http://h", False),
            ("", False),
        ),
    ],
)
def test_what_is_on_the_web(url: str, web: bool) -> None:
    assert is_on_the_web(PictureRef(url)) is web


def test_the_bytes_of_a_request_are_never_on_the_web() -> None:
    assert not is_on_the_web(PictureRef(memoryview(b"http://h/a")))


def test_a_raw_line_break_inside_a_requests_json_is_no_white_space() -> None:
    url = data_url(b"x" * 3000).encode()
    broken = url[:2000] + b"\n" + url[2000:]

    with pytest.raises(NotCacheable):
        load(PictureRef(memoryview(broken)))


def spellings(text: str) -> st.SearchStrategy[str]:
    """Of one file, by the freedoms that servers take alike."""
    types = st.sampled_from(["", "image/png", "image/jpg", "IMAGE/PNG", "image/png;charset=utf-8", "text/plain;a=b"])
    scheme, coding = st.sampled_from(["data:", "DATA:", "Data:"]), st.sampled_from([";base64,", ";BASE64,", ";Base64,"])
    padding = st.sampled_from(["", "=", "==", "\n", "==\r\n"])
    broken = st.sampled_from([76, 64, 7]).map(lambda width: "\r\n".join(_lines(text.rstrip("="), width)))
    return st.tuples(scheme, types, coding, st.just(text.rstrip("=")) | broken, padding).map("".join)


def _lines(text: str, width: int) -> list[str]:
    return [text[start : start + width] for start in range(0, len(text), width)]


@examples(80)
@given(
    st.binary(min_size=1, max_size=120).flatmap(
        lambda data: st.tuples(st.just(data), spellings(base64.b64encode(data).decode()))
    )
)
def test_any_spelling_of_any_file_is_that_file(case: tuple[bytes, str]) -> None:
    data, url = case

    assert data == read(url).data


@examples(80)
@given(st.binary(min_size=30, max_size=90), st.integers(20, 39), st.sampled_from("-_%*é\x00.,~"))
def test_a_sign_that_is_no_base64_spoils_the_whole(data: bytes, place: int, sign: str) -> None:
    text = base64.b64encode(data).decode()
    url = f"data:image/png;base64,{text[:place]}{sign}{text[place + 1 :]}"

    assert Bypass.PICTURE_UNREADABLE is refusal(lambda: read(url))


@examples(80)
@given(st.text(max_size=60), st.sampled_from(["", "data:", "data:;base64,", "http://", "iVBORw0KGgo"]))
def test_any_text_is_read_or_refused_and_nothing_else_is_raised(text: str, before: str) -> None:
    with suppress(NotCacheable):
        assert read(before + text).data
