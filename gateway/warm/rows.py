"""From the text of an input to items: CSV, JSON rows, logged request bodies, OpenAI batch lines. Pure.

Reading is strict, line by line: what cannot be read is a `BadLine` with its number and a sentence, and the others are
still read. A row without a prompt is asked every prompt that was given on the command line. Columns that mean nothing
here are named in `Rules.unused`, never dropped in silence.
"""

import csv
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import PurePath
from typing import Any

import orjson

from gateway.batchlines import BadLine, Seen, read_objects, repeated
from gateway.bulk.items import Item, Posted, Read, Recipe
from gateway.bulk.lines import read_items
from gateway.question import Object

CHAT = "/v1/chat/completions"
ANSWER = "answer"
_NAMES = {
    "picture": "picture",
    "image": "picture",
    "file": "picture",
    "path": "picture",
    "url": "picture",
    "pictures": "picture",
    "images": "picture",
    "prompt": "prompt",
    "question": "prompt",
    "system": "system",
    "id": "id",
    "custom_id": "id",
    "model": "model",
    "parameters": "parameters",
}
_PARAMETERS = frozenset("temperature top_p max_tokens max_completion_tokens seed".split())
_OUR_OWN = frozenset(("error",))  # what a file of failures says beside each row
_URL_SCHEMES = ("http://", "https://", "data:")
# Longer than any picture in a data URL that a gateway takes; csv's own limit is 128 KiB.
csv.field_size_limit(2**30)


class Form(StrEnum):
    """What each line of a file is."""

    CSV = "csv"
    ROWS = "rows"  # JSON objects with a picture and a prompt
    OPENAI = "openai"  # OpenAI batch lines
    LOG = "log"  # request bodies, as clients sent them


@dataclass(frozen=True, slots=True)
class Rules:
    """What holds for all rows. `base` is the folder that relative picture paths start from."""

    prompts: tuple[str, ...] = ()
    base: str = ""
    path: str = CHAT
    answers: bool = False  # each row has its answer, too
    unused: set[str] = field(default_factory=set)  # columns that were read past


class _Bad(Exception):
    """What is wrong with the row at hand, after "line n"."""


def detect(line: bytes) -> Form | str:
    """The form of a JSON lines file by its first line; or what is wrong."""
    for number, value in read_objects([line]):
        if isinstance(value, str):
            return f"line {number} {value}"
        if "body" in value and "custom_id" in value:
            return Form.OPENAI
        if "body" in value or {"messages", "input", "contents"} & value.keys():
            return Form.LOG
        if any(_NAMES.get(name) == "picture" for name in value):
            return Form.ROWS
    return "the first line is none of the forms that are read: a row with a picture, a request body, a batch line"


def read_json(form: Form, lines: Iterable[bytes], rules: Rules, seen: Seen) -> Iterator[Read]:
    """The items of a JSON lines file of this form."""
    if form is Form.OPENAI:
        yield from read_items(lines, seen)
        return
    one = _row if form is Form.ROWS else _logged
    for number, value in read_objects(lines):
        if isinstance(value, str):
            yield BadLine(number, value)
        else:
            yield from _checked(one, value, number, rules, seen)


def read_csv(text: Iterable[str], rules: Rules, seen: Seen) -> Iterator[Read]:
    """The items of a table with a head. Comma, semicolon or tab between the fields, as the head has them."""
    lines = iter(text)
    head = next(lines, "").removeprefix("\ufeff")
    rows = csv.reader(_chained(head, lines), delimiter=_delimiter(head), strict=True)
    names: list[str] | None = None
    while True:
        number = rows.line_num + 1
        try:
            row = next(rows, None)
        except csv.Error as error:
            yield BadLine(number, f"is not CSV: {error}")
            return  # nothing after it can be told apart
        if row is None:
            return
        if names is None:
            names = [name.strip().lower() for name in row]
            if why := _head_wrong(names):
                yield BadLine(number, why)
                return
        elif len(row) > len(names):
            yield BadLine(number, f"has {len(row)} fields where the head has {len(names)}; put quotes around commas")
        elif any(row):
            cells: Object = {name: cell for name, cell in zip(names, row, strict=False) if cell}
            yield from _checked(_row, _read_cells(cells), number, rules, seen)


def _head_wrong(names: list[str]) -> str | None:
    if not any(_NAMES.get(name) == "picture" for name in names):
        return f"is the head, and names no column `picture`: {', '.join(names)[:200]}"
    return "is the head, and names a column twice" if len(set(names)) < len(names) else None


def _delimiter(head: str) -> str:
    return max(",;\t", key=head.count)


def _chained(head: str, lines: Iterator[str]) -> Iterator[str]:
    yield head
    yield from lines


def _read_cells(cells: Object) -> Object:
    """Numbers as numbers, and the parameters as the JSON that they are; left as text where they are neither."""
    read = dict(cells)
    for name in ("parameters", *_PARAMETERS):
        if name in cells:
            try:
                read[name] = orjson.loads(cells[name])
            except orjson.JSONDecodeError:
                read[name] = cells[name]
    return read


def _checked(one: Any, value: Object, number: int, rules: Rules, seen: Seen) -> Iterator[Read]:
    try:
        items: list[Item] = one(value, number, rules)
    except _Bad as bad:
        yield BadLine(number, str(bad))
        return
    for item in items:
        # A row with several prompts is several items; their ids begin alike, so that one test says it of all.
        why = repeated(item.id, number, seen)
        yield BadLine(number, why) if why else item


def _logged(value: Object, number: int, rules: Rules) -> list[Item]:
    """A body alone, or one with the path that it went to."""
    body, path = (value["body"], value.get("path", rules.path)) if "body" in value else (value, rules.path)
    if not isinstance(body, dict) or not isinstance(path, str) or not path.startswith("/"):
        raise _Bad('has a "body" that is not an object, or a "path" that does not begin with /')
    given = value.get("id") if "body" in value else None
    return [Item(_id(given, number), number, Posted(path, body), _answer(value, rules))]


def _row(value: Object, number: int, rules: Rules) -> list[Item]:
    known: Object = {}
    parameters: Object = {}
    for name, cell in value.items():
        if cell is None:
            continue
        if name in _PARAMETERS:
            parameters[name] = _number(name, cell)
        elif name == ANSWER and rules.answers:
            known[ANSWER] = cell
        elif (meaning := _NAMES.get(name)) is None:
            rules.unused.update({name} - _OUR_OWN)
        elif meaning in known:
            raise _Bad(f'gives the {meaning} twice: once more as "{name}"')
        else:
            known[meaning] = cell
    more = known.get("parameters", {})
    if not isinstance(more, dict) or {"messages", "stream"} & more.keys():
        raise _Bad('has "parameters" that are not a JSON object, or hold messages or stream')
    pictures = _pictures(known.get("picture"), rules.base)
    texts = {name: _text(known, name) for name in ("prompt", "system", "model")}
    prompts = (texts["prompt"],) if texts["prompt"] is not None else rules.prompts
    if not prompts:
        raise _Bad("has no prompt, and none was given with --prompt or --prompts")
    answer = _answer(known, rules)
    name = _id(known.get("id"), number)
    made = []
    for count, prompt in enumerate(prompts, start=1):
        recipe = Recipe(pictures, prompt, texts["system"], texts["model"], {**parameters, **more})
        made.append(Item(name if len(prompts) == 1 else f"{name}#{count}", number, recipe, answer))
    return made


def _answer(known: Object, rules: Rules) -> str | None:
    if not rules.answers:
        return None
    answer = _text(known, ANSWER)
    if not answer or not answer.strip():
        raise _Bad("has no answer")
    return answer


def _id(given: object, number: int) -> str:
    if given is None:
        return f"line-{number}"
    if isinstance(given, int) and not isinstance(given, bool):
        return str(given)
    if not isinstance(given, str) or not given:
        raise _Bad("has an id that is not a text")
    return given


def _pictures(given: object, base: str) -> tuple[str, ...]:
    named: list[object] = given if isinstance(given, list) else [given]
    pictures = [one for one in named if isinstance(one, str) and one]
    if not pictures or len(pictures) < len(named):
        raise _Bad("names no picture")
    return tuple(str(PurePath(base, one)) if is_local(one) else one for one in pictures)


def _text(known: Object, name: str) -> str | None:
    text = known.get(name)
    if text is not None and not isinstance(text, str):
        raise _Bad(f"has a {name} that is not a text")
    return text


def _number(name: str, value: object) -> int | float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _Bad(f"has a {name} that is not a number")
    return value


def is_local(picture: str) -> bool:
    """Whether a recipe's picture is a file here."""
    return not picture.lower().startswith(_URL_SCHEMES)
