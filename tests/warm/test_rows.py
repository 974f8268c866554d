"""Every form of input, and what is said of lines that are none."""

import csv
import io
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.batchlines import BadLine
from gateway.bulk.items import Item, Posted, Recipe
from gateway.warm.rows import Form, Rules, detect, read_csv, read_json
from tests.examples import examples

RULES = Rules(prompts=("What is it?",))
# No line of a file holds these but as its end.
WORDS = st.text(st.characters(codec="utf-8", exclude_characters="\r\n\0"), min_size=1, max_size=20)


def rows(lines: list[str], form: Form = Form.ROWS, rules: Rules = RULES) -> list[Item | BadLine]:
    return list(read_json(form, [line.encode() for line in lines], rules, {}))


def table(text: str, rules: Rules = RULES) -> list[Item | BadLine]:
    return list(read_csv(io.StringIO(text), rules, {}))


def only(read: list[Item | BadLine]) -> Recipe:
    [item] = read
    assert isinstance(item, Item)
    assert isinstance(item.asks, Recipe)
    return item.asks


def why(read: list[Item | BadLine]) -> list[str]:
    return [str(one) for one in read if isinstance(one, BadLine)]


def test_a_row_is_a_picture_a_prompt_and_whatever_else_is_asked():
    line = {"picture": "a.png", "prompt": "Price?", "system": "Be brief.", "model": "m", "temperature": 0}
    asks = only(rows([json.dumps(line | {"parameters": {"max_tokens": 9}})]))

    assert asks == Recipe(("a.png",), "Price?", "Be brief.", "m", {"temperature": 0, "max_tokens": 9})


def test_a_row_without_a_prompt_is_asked_every_one_that_was_given():
    read = rows(['{"picture": "a.png", "id": "a"}'], rules=Rules(prompts=("Price?", "Colour?")))

    assert [(item.id, item.asks.prompt) for item in read] == [("a#1", "Price?"), ("a#2", "Colour?")]  # type: ignore[union-attr]


def test_a_row_without_any_prompt_says_how_to_give_one():
    assert "--prompt" in why(rows(['{"picture": "a.png"}'], rules=Rules()))[0]


@pytest.mark.parametrize("name", ["picture", "image", "path", "url", "file"])
def test_a_picture_goes_by_many_names(name: str):
    assert only(rows([json.dumps({name: "a.png"})])).pictures == ("a.png",)


def test_relative_paths_start_from_the_files_folder_and_urls_from_nowhere():
    rules = Rules(prompts=("?",), base="/data")
    pictures = ["a.png", "/b.png", "https://h/c.png", "data:image/png;base64,AA=="]

    assert only(rows([json.dumps({"pictures": pictures})], rules=rules)).pictures == (
        "/data/a.png",
        "/b.png",
        "https://h/c.png",
        "data:image/png;base64,AA==",
    )


def test_a_table_is_read_by_its_head_whatever_separates_its_fields():
    for mark in ",;\t":
        asks = only(table(f'path{mark}prompt{mark}temperature\na.png{mark}"Price{mark} in €?"{mark}0.5\n'))

        assert asks == Recipe(("a.png",), f"Price{mark} in €?", None, None, {"temperature": 0.5})


def test_parameters_in_a_table_are_json():
    asks = only(table('picture,parameters\na.png,"{""seed"": 7, ""stop"": [""x""]}"\n'))

    assert asks.parameters == {"seed": 7, "stop": ["x"]}


def test_a_field_with_a_line_break_is_one_row_and_the_next_has_its_own_number():
    read = table('picture,prompt\na.png,"one\ntwo"\n,three\n')

    assert isinstance(read[0], Item)
    assert (read[0].line, read[1].line) == (2, 4)
    assert why(read) == ["line 4 names no picture"]


def test_columns_that_mean_nothing_here_are_named():
    rules = Rules(prompts=("?",))
    table("sku,picture,title\n1,a.png,vase\n", rules)

    assert rules.unused == {"sku", "title"}


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{", "is not JSON"),
        ("[1]", "not an object"),
        ('{"picture": 7}', "names no picture"),
        ('{"picture": "a", "image": "b"}', "gives the picture twice"),
        ('{"picture": "a", "prompt": 7}', "a prompt that is not a text"),
        ('{"picture": "a", "temperature": "hot"}', "a temperature that is not a number"),
        ('{"picture": "a", "parameters": []}', "not a JSON object"),
        ('{"picture": "a", "parameters": {"stream": true}}', "messages or stream"),
        ('{"picture": "a", "id": ""}', "an id that is not a text"),
    ],
)
def test_a_line_that_cannot_be_used_is_told_and_the_next_is_read(line: str, said: str):
    read = rows([line, '{"picture": "b.png"}'])

    assert isinstance(read[0], BadLine)
    assert said in str(read[0])
    assert isinstance(read[1], Item)


def test_an_id_stands_once():
    read = rows(['{"picture": "a", "id": "x"}', '{"picture": "b", "id": "x"}'])

    assert why(read) == ['line 2 has the id "x" of line 1; each needs one of its own']


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "names no column `picture`"),
        ("sku,title\n1,vase\n", "names no column `picture`"),
        ("picture,picture\na,b\n", "names a column twice"),
        ("picture,prompt\na,b,c\n", "3 fields where the head has 2"),
        ('picture\n"a\n', "is not CSV"),
    ],
)
def test_a_table_that_cannot_be_read_says_why(text: str, said: str):
    assert said in why(table(text))[0]


def test_a_log_is_bodies_alone_or_with_their_path():
    body = {"model": "m", "messages": []}
    read = rows([json.dumps(body), json.dumps({"path": "/v1/messages", "body": body})], Form.LOG)

    assert read == [
        Item("line-1", 1, Posted("/v1/chat/completions", body)),
        Item("line-2", 2, Posted("/v1/messages", body)),
    ]


def test_batch_lines_keep_their_ids():
    line = {"custom_id": "r1", "method": "POST", "url": "/v1/chat/completions", "body": {"model": "m"}}

    assert rows([json.dumps(line)], Form.OPENAI) == [Item("r1", 1, Posted("/v1/chat/completions", {"model": "m"}))]


@pytest.mark.parametrize(
    ("line", "form"),
    [
        ({"custom_id": "a", "method": "POST", "url": "/v1/x", "body": {}}, Form.OPENAI),
        ({"model": "m", "messages": []}, Form.LOG),
        ({"body": {"model": "m"}}, Form.LOG),
        ({"image": "a.png"}, Form.ROWS),
    ],
)
def test_a_files_form_is_told_by_its_first_line(line: dict[str, Any], form: Form):
    assert detect(json.dumps(line).encode()) is form


def test_a_first_line_of_no_form_is_told():
    assert "none of the forms" in str(detect(b'{"colour": "red"}'))
    assert "not JSON" in str(detect(b"picture,prompt"))


RECIPES = st.builds(
    Recipe,
    st.tuples(WORDS.map(lambda word: f"https://h/{word}")),
    WORDS,
    st.none() | WORDS,
    st.none() | WORDS,
    st.dictionaries(st.sampled_from(["seed", "top_k", "x"]), st.integers(0, 99) | st.booleans() | WORDS),
)


def written(recipe: Recipe) -> dict[str, Any]:
    row = {"picture": recipe.pictures[0], "prompt": recipe.prompt, "system": recipe.system, "model": recipe.model}
    return row | {"parameters": recipe.parameters or None}


@given(st.lists(RECIPES, max_size=5))
@examples(60)
def test_what_is_written_as_json_rows_is_what_is_read(recipes: list[Recipe]):
    read = rows([json.dumps(written(recipe)) for recipe in recipes])

    assert [item.asks for item in read if isinstance(item, Item)] == recipes


@given(st.lists(RECIPES, max_size=5))
@examples(60)
def test_what_is_written_as_a_table_is_what_is_read(recipes: list[Recipe]):
    text = io.StringIO()
    writer = csv.DictWriter(text, "picture prompt system model parameters".split())
    writer.writeheader()
    for recipe in recipes:
        row = {name: value for name, value in written(recipe).items() if value is not None}
        writer.writerow(row | ({"parameters": json.dumps(recipe.parameters)} if recipe.parameters else {}))
    read = list(read_csv(io.StringIO(text.getvalue(), newline=""), RULES, {}))

    assert [item.asks for item in read if isinstance(item, Item)] == recipes


@given(st.lists(st.binary(max_size=60) | st.text(max_size=60).map(str.encode), max_size=6), st.sampled_from(list(Form)))
@examples(150)
def test_whatever_a_file_holds_every_line_is_read_or_named(lines: list[bytes], form: Form):
    lines = [line.replace(b"\n", b"").replace(b"\r", b"") for line in lines]
    if form is Form.CSV:
        read = list(read_csv([line.decode("utf-8", "replace") + "\n" for line in lines], RULES, {}))
    else:
        read = list(read_json(form, lines, RULES, {}))

    assert all(1 <= one.line <= max(1, len(lines)) for one in read)
    if form is not Form.CSV:
        full = [number for number, line in enumerate(lines, 1) if line.strip(b" \t")]
        # A byte order mark alone is an empty first line.
        assert [one.line for one in read] == [
            n for n in full if n > 1 or lines[0].removeprefix(b"\xef\xbb\xbf").strip(b" \t")
        ]


@given(RECIPES, RECIPES)
@examples(60)
def test_two_questions_have_one_mark_exactly_if_they_are_one_question(one: Recipe, other: Recipe):
    marks = [Item("x", 1, recipe).mark(b"how") for recipe in (one, other)]
    canon = [json.dumps(written(recipe), sort_keys=True) for recipe in (one, other)]

    assert (marks[0] == marks[1]) == (canon[0] == canon[1])
    assert Item("x", 1, one).mark(b"how") != Item("x", 1, one).mark(b"another")
