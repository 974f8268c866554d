"""On which line of a TOML file a rule stands. Pure.

The parser tells no lines. A line that looks like the heading of a rule may stand in a string of many lines: it is
one if all up to and including it is TOML.
"""

import re
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gateway.rules.settings import RuleProblem

_HEADING = re.compile(r"\s*\[\[\s*(?:rules|\"rules\"|'rules')\s*\]\]\s*(?:#.*)?")
_ARRAY = re.compile(r"\s*(?:rules|\"rules\"|'rules')\s*=")


def in_a_rule(problem: Any, file: Path | None, text: str) -> str | None:
    """Where a problem that pydantic found is, in words, if it is one of a rule: which rule, on which line of the file
    that the rules are in, whose text is given, and which of its fields. None for any other problem."""
    error = problem.get("ctx", {}).get("error")
    number, field = (error.number, "") if isinstance(error, RuleProblem) else _place(problem["loc"])
    if number is None:
        return None
    line = line_of(text, number) if file is not None else None
    where = f"{file}, line {line}: " if line is not None else ""
    return f"{where}rule {number + 1}" + (f", {field}" if field else "")


def _place(loc: Sequence[int | str]) -> tuple[int | None, str]:
    match loc:
        case ("rules", int(number), *within):
            return number, ".".join(str(part) for part in within)
        case _:
            return None, ""


def line_of(text: str, number: int) -> int | None:
    """The line, from 1 on, of the rule of this number, from 0 on: of its `[[rules]]`, or of the `rules = [...]` that
    it stands in. None where the text has no such rule."""
    lines = text.replace("\r\n", "\n").split("\n")
    headings = [n for n, line in enumerate(lines) if _HEADING.fullmatch(line) and _is_toml(lines[: n + 1])]
    if number < len(headings):
        return headings[number] + 1
    arrays = [n for n, line in enumerate(lines) if _ARRAY.match(line) and _is_outermost(lines[:n])]
    return arrays[0] + 1 if arrays else None


def _is_toml(lines: list[str]) -> bool:
    return _read(lines) is not None


def _is_outermost(lines: list[str]) -> bool:
    """Whether a name that stands after these lines belongs to no table."""
    return "" in (_read([*lines, '"" = 0']) or {})


def _read(lines: list[str]) -> dict[str, Any] | None:
    try:
        return tomllib.loads("\n".join(lines))
    except tomllib.TOMLDecodeError:
        return None
