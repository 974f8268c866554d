"""What is wrong with a value that pydantic refused, in words for whoever gave it. Pure.

Settings and the bodies that /cache/ takes both use it. The words stand after the name: "port: must be a whole number".
"""

from collections.abc import Mapping
from typing import Any, Final

_WHOLE, _NUMBER, _SWITCH = "must be a whole number", "must be a number", "must be true or false"
_LIST, _TABLE, _PATH = "must be a list", "must be a table (in JSON, an object)", "must be a path"
_WORDS: Final[Mapping[str, str]] = {
    "missing": "is needed",
    "int_type": _WHOLE,
    "int_parsing": _WHOLE,
    "int_parsing_size": _WHOLE,
    "int_from_float": _WHOLE,
    "float_type": _NUMBER,
    "float_parsing": _NUMBER,
    "finite_number": "must be a finite number",
    "bool_type": _SWITCH,
    "bool_parsing": _SWITCH,
    "string_type": "must be text",
    "path_type": _PATH,
    "tuple_type": _LIST,
    "list_type": _LIST,
    "dict_type": _TABLE,
    "mapping_type": _TABLE,
    "model_type": _TABLE,
    "model_attributes_type": _TABLE,
    "greater_than": "must be above {gt}",
    "greater_than_equal": "must be at least {ge}",
    "less_than": "must be below {lt}",
    "less_than_equal": "must be at most {le}",
    "literal_error": "must be {expected}",
    "enum": "must be {expected}",
    "string_too_short": "must have at least {min_length} characters",
    "string_too_long": "must have at most {max_length} characters",
    "too_short": "must have at least {min_length} entries",
    "too_long": "must have at most {max_length} entries",
    "string_pattern_mismatch": "must match {pattern}",
}
_PATTERNS: Final[Mapping[str, str]] = {
    r"^[\w-]{1,40}$": 'must be 1 to 40 letters, digits, "-" or "_"',
    r"^[\w-]{0,40}$": 'must be up to 40 letters, digits, "-" or "_"',
    r"^[0-9a-f]+$": "must be digits of a digest (0-9, a-f)",
    r"^[0-9a-f]{8,}$": "must be 8 or more digits of a digest (0-9, a-f)",
    r"^[0-9a-f]{64}$": "must be a digest: 64 digits (0-9, a-f)",
}


def plainly(problem: Mapping[str, Any]) -> str:
    """One of `ValidationError.errors()`, in words that do not repeat the value, which may be a secret."""
    kind, facts = problem["type"], problem.get("ctx", {})
    if kind == "string_too_short" and facts["min_length"] == 1:
        return "must not be empty"
    if kind == "string_pattern_mismatch" and facts["pattern"] in _PATTERNS:
        return _PATTERNS[facts["pattern"]]
    if (words := _WORDS.get(kind)) is None:
        return str(problem["msg"]).removeprefix("Value error, ")
    return words.format_map({name: _shortest(fact) for name, fact in facts.items()})


def place(problem: Mapping[str, Any]) -> str:
    """Where the value stands: `prices.qwen.currency`. What pydantic adds of its own is in brackets, and left out."""
    parts = map(str, problem["loc"])
    return ".".join(part for part in parts if not (part.startswith("[") and part.endswith("]")))


def _shortest(fact: Any) -> Any:
    return int(fact) if isinstance(fact, float) and fact.is_integer() else fact
