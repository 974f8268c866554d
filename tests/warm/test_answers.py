"""Answers as a file."""

import csv
import io
import json
from pathlib import Path

import pytest

from gateway.batchlines import BadLine, BatchResponse, read_responses
from gateway.bulk.items import Answer, BadInput, Failure, Item, Posted, Recipe
from gateway.warm.answers import OutForm, Row, failed_line, lines, write
from gateway.warm.rows import Form, Rules, read_json

BODY = {
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "48,20 €\n=1+1"}, "finish_reason": "stop"}]
}
ANSWER = Answer("near", None, 200, "r1", "m", 0.5, 800, 3, json.dumps(BODY).encode())
RECIPE = Item("a", 1, Recipe(("/p/a.png",), "Price?", "Be brief.", "m", {"seed": 7}))
POSTED = Item("b", 2, Posted("/v1/chat/completions", {"model": "m", "stream": True, "messages": []}))
REFUSED = Failure("bad", "no", 400, b'{"error": {"code": "bad"}}')
GONE = Failure("timeout", "no reply in time")
ROWS: list[Row] = [(RECIPE, ANSWER), (POSTED, REFUSED), (BadLine(3, "is not JSON"), GONE)]


def test_openais_output_lines_are_read_by_what_reads_them():
    read = [one for one in read_responses(lines(OutForm.OPENAI, ROWS)) if isinstance(one, BatchResponse)]

    assert [one.custom_id for one in read] == ["a", "b", "line-3"]
    assert read[0].outcome.body == BODY  # type: ignore[union-attr]
    assert read[1].outcome.status_code == 400  # type: ignore[union-attr]
    assert read[2].outcome.code == "timeout"  # type: ignore[union-attr]


def test_a_table_holds_the_text_of_each_answer_as_it_is():
    table = b"".join(lines(OutForm.CSV, ROWS)).decode()
    rows = list(csv.DictReader(io.StringIO(table, newline="")))

    assert (rows[0]["answer"], rows[0]["cache"], rows[0]["tokens_in"]) == ("48,20 €\n=1+1", "near", "800")
    assert (rows[1]["error"], rows[1]["answer"]) == ("bad", "")
    assert rows[2]["id"] == "line-3"


def test_json_rows_leave_out_what_there_is_none_of():
    rows = [json.loads(line) for line in lines(OutForm.ROWS, ROWS)]

    assert rows[0]["answer"] == "48,20 €\n=1+1"
    assert rows[1] == {"id": "b", "error": "bad", "message": "no"}


def test_a_failed_recipe_is_read_again_as_it_was():
    [again] = read_json(Form.ROWS, [failed_line(RECIPE, GONE)], Rules(), {})

    assert again == RECIPE


def test_a_failed_body_is_a_batch_line_in_one_piece():
    [again] = read_json(Form.OPENAI, [failed_line(POSTED, GONE)], Rules(), {})

    assert again == Item("b", 1, Posted("/v1/chat/completions", {"model": "m", "messages": []}))


def test_a_file_is_there_whole_or_as_it_was(tmp_path: Path):
    def breaking() -> object:
        yield b"new"
        raise RuntimeError

    write(tmp_path / "out", [b"old"])
    with pytest.raises(RuntimeError):
        write(tmp_path / "out", breaking())  # type: ignore[arg-type]

    assert (tmp_path / "out").read_bytes() == b"old"


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path):
    with pytest.raises(BadInput, match="cannot be written"):
        write(tmp_path / "nowhere" / "out", [])
