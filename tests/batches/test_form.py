"""An upload is the same upload however it is cut into chunks, and what is no upload says so."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.batches.form import BadForm, Form

TYPE = 'multipart/form-data; boundary="b-1"'
NAMES = st.text(st.characters(exclude_categories=("C",), exclude_characters='"\\/'), min_size=1, max_size=40)


def part(name: str, data: bytes, more: str = "") -> bytes:
    return f'--b-1\r\nContent-Disposition: form-data; name="{name}"{more}\r\n\r\n'.encode() + data + b"\r\n"


def read(body: bytes, cuts: list[int], content_type: str = TYPE) -> tuple[dict[str, str], str | None, bytes]:
    form, data = Form(content_type), b""
    ends = sorted({min(cut, len(body)) for cut in cuts} | {len(body)})
    for begin, end in zip([0, *ends], ends, strict=False):
        data += form.feed(body[begin:end])
    form.end()
    return form.fields, form.name, data


@given(
    data=st.binary(max_size=300).filter(lambda data: b"\r\n--b-1" not in data),
    purpose=st.text(st.characters(exclude_categories=("C",)), max_size=40),
    name=NAMES,
    cuts=st.lists(st.integers(0, 700), max_size=12),
    last=st.booleans(),
)
def test_any_chunks_give_the_same_file_and_fields(data: bytes, purpose: str, name: str, cuts: list[int], last: bool):
    parts = [part("purpose", purpose.encode()), part("file", data, f'; filename="{name}"')]
    body = b"".join(parts if last else reversed(parts)) + b"--b-1--\r\n"

    assert read(body, cuts) == ({"purpose": purpose}, name, data)


@given(body=st.binary(max_size=300), cuts=st.lists(st.integers(0, 300), max_size=5))
def test_no_bytes_at_all_make_it_fail_in_another_way(body: bytes, cuts: list[int]):
    with pytest.raises(BadForm):
        read(b"--b-1\r\n" + body.replace(b"--b-1--", b""), cuts)


FILE = part("file", b"x", '; filename="a"')
END = b"--b-1--\r\n"


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (FILE, "before its closing boundary"),
        (part("purpose", b"batch") + END, 'no file in the field "file"'),
        (FILE + FILE + END, "more than one"),
        (part("other", b"x", '; filename="a"') + END, "another field"),
        (part("purpose", b"x" * 1025) + END, "longer than 1024 bytes"),
        (b"".join(part(f"f{number}", b"x") for number in range(33)) + END, "more than 32 fields"),
        (b"--b-1\r\nA: " + b"b" * 10_000 + b"\r\n\r\n" + END, "no multipart/form-data"),
        (b"something else", "no multipart/form-data"),
    ],
)
def test_what_is_no_upload_says_so(body: bytes, words: str):
    with pytest.raises(BadForm, match=words):
        read(body, [])


@pytest.mark.parametrize(
    "content_type", ["", "application/json", "multipart/form-data", "multipart/form-data; boundary="]
)
def test_another_content_type_is_refused(content_type: str):
    with pytest.raises(BadForm, match="must be multipart/form-data"):
        Form(content_type)


def test_a_boundary_without_end_is_refused():
    with pytest.raises(BadForm, match="boundary cannot be used"):
        Form(f"multipart/form-data; boundary={'b' * 5000}")


@pytest.mark.parametrize(
    ("given", "kept"), [("../a/in.jsonl", "in.jsonl"), ("C:\\tmp\\in.jsonl", "in.jsonl"), ("", "file"), ("a/", "file")]
)
def test_of_a_file_s_name_the_last_part_is_kept(given: str, kept: str):
    assert read(part("file", b"x", f'; filename="{given}"') + END, [])[1] == kept
