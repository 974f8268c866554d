"""Inputs made of other inputs: byte by byte, and, where they are JSON, value by value. Seeded: the same chance gives
the same input."""

import json
from random import Random
from typing import Any

# Values that somebody, somewhere, reads in another way, or trips over.
_ODDITIES: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1.5, 2**53 + 1, 2**63, 10**30, 1e308, -0.0, 5e-324, "", "?", "\x00", "é", "\U0001f600"),
    *("data:image/png;base64,iVBORw0KGgo=", "data:,", "http://127.0.0.1/a.png", "file:///etc/passwd", "a" * 3000),
    *("\ud800", "null", "[DONE]", "stop", [], [None], [[]], {}, {"": []}, {"type": "text", "text": "?"}),
)
_BYTES = (
    *(b"", b"\x00", b"\xff", b"\xef\xbb\xbf", b"\xc3", b"\xed\xa0\x80", b"\r", b"\n", b"\r\n\r\n", b":", b'"', b"\\"),
    *(b"NaN", b"-Infinity", b"1e999", b'"stream":true,', b'"model":"a","model":"b"', b"{" * 300, b"[" * 300, b"data: "),
)
_MOST_EDITS = 6


def mutated(data: bytes, chance: Random, bytes_max: int) -> bytes:
    """Another input, for the same check as a rule."""
    kind, rest = (data[:1] or b"\0"), data[1:]
    for _ in range(chance.randint(1, _MOST_EDITS)):
        rest = chance.choice((_in_value, _in_value, _in_bytes))(rest, chance)
    if chance.random() < 0.02:
        kind = bytes((chance.randrange(256),))
    return (kind + rest)[:bytes_max]


def _in_value(data: bytes, chance: Random) -> bytes:
    """Another value anywhere in a body, or in one line of a stream."""
    lines = data.split(b"\n")
    holding = [number for number, line in enumerate(lines) if b"{" in line]
    if not holding:
        return _in_bytes(data, chance)
    if (whole := _other_value(data, chance)) is not None:
        return whole
    number = chance.choice(holding)
    head, brace, text = lines[number].partition(b"{")
    changed = _other_value(brace + text, chance)
    if changed is None:
        return _in_bytes(data, chance)
    lines[number] = head + changed
    return b"\n".join(lines)


def _other_value(text: bytes, chance: Random) -> bytes | None:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    try:
        return json.dumps(_edited(value, chance), ensure_ascii=chance.random() < 0.5).encode("utf-8", "surrogatepass")
    except (ValueError, RecursionError):
        return None


def _edited(value: Any, chance: Random) -> Any:
    """With one change somewhere in it: the further in, the likelier."""
    if isinstance(value, dict) and value and chance.random() < 0.85:
        key = chance.choice(list(value))
        match chance.randrange(12):
            case 0:
                return {name: item for name, item in value.items() if name != key}
            case 1:
                return value | {key.swapcase(): value[key]}
            case 2:
                return value | {chance.choice(list(value)): value[key]}
            case 3:
                return value | {f"x{chance.randrange(9)}": chance.choice(_ODDITIES)}
            case _:
                return value | {key: _edited(value[key], chance)}
    if isinstance(value, list) and value and chance.random() < 0.85:
        place = chance.randrange(len(value))
        match chance.randrange(8):
            case 0:
                return value[:place] + value[place + 1 :]
            case 1:
                return [*value, value[place]]
            case _:
                return [*value[:place], _edited(value[place], chance), *value[place + 1 :]]
    return [value] if chance.random() < 0.1 else chance.choice(_ODDITIES)


def _in_bytes(data: bytes, chance: Random) -> bytes:
    start = chance.randrange(len(data) + 1)
    length = chance.choice((0, 0, 1, 1, 4, 64))
    match chance.randrange(5):
        case 0:
            new = bytes((chance.choice((0, 1, 0x7F, 0x80, 0xFF, chance.randrange(256))),))
        case 1:
            new = chance.choice(_BYTES)
        case 2:
            other = chance.randrange(len(data) + 1)
            new = data[other : other + 64]
        case 3:
            return data[:start]
        case _:
            new = chance.randbytes(chance.choice((1, 2, 4)))
    return data[:start] + new + data[start + length :]
