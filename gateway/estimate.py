"""Tokens of an answer whose upstream did not count them: a stream that was stored without usage. Pure.

An estimate is never mixed with a count; docs/stats.md says how it is made. It is rough (a third off is common), for
every model has its own tokens: what it is good for is to tell ten dollars from a hundred.
"""

from collections.abc import Iterable

from gateway.question import Usage

# English has about four characters a token; a Chinese character has three bytes and about two thirds of a token.
_BYTES_PER_TOKEN = 4
# What the Qwen models make of a picture, within the bounds that they are served with by default.
_SIDE_PX = 28
_PICTURE_TOKENS_MIN, _PICTURE_TOKENS_MAX = 4, 1280


def estimate(prompt: str, answer: str, sizes: Iterable[tuple[int, int]]) -> Usage:
    """`sizes` are (width, height) of the pictures, in pixels."""
    return Usage(_text(prompt) + sum(_picture(width, height) for width, height in sizes), _text(answer))


def missing(counted: Usage, estimated: Usage) -> Usage:
    """Of an estimate, what the upstream did not count."""
    return Usage(
        estimated.tokens_in if counted.tokens_in is None else None,
        estimated.tokens_out if counted.tokens_out is None else None,
    )


def _text(text: str) -> int:
    return -(-len(text.encode("utf-8", "replace")) // _BYTES_PER_TOKEN)


def _picture(width: int, height: int) -> int:
    return min(max(width * height // _SIDE_PX**2, _PICTURE_TOKENS_MIN), _PICTURE_TOKENS_MAX)
