"""What the questions that are left may cost, before one is asked. Pure.

An estimate: models count pictures in tokens each in its own way, and nobody knows an answer's length. So what is
assumed is said beside the figures, and can be given on the command line.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from math import ceil
from typing import Final

from gateway.price import Price

# As Qwen3-VL counts: one token for 32 x 32 pixels, and by the servers' defaults at most so many for one picture.
_BLOCK_SIDE: Final = 32
_PICTURE_TOKENS_MOST: Final = 2560
_UTF8_BYTES_PER_TOKEN: Final = 3.5  # between English (4 letters) and Chinese (3 bytes a sign)
_PICTURE_TOKENS_UNKNOWN: Final = 1000  # of a picture that is elsewhere


@dataclass(frozen=True, slots=True)
class Assumed:
    """Of each answer."""

    tokens_out: int = 150
    seconds: float = 3.0


@dataclass(slots=True)
class Estimate:
    """Calls of the model, and what they may come to."""

    assumed: Assumed
    price_of: Callable[[str], Price | None]
    calls: int = 0
    tokens_in: int = 0
    money: dict[str, float] = field(default_factory=dict)
    unpriced: int = 0

    def add(self, model: str, sizes: list[tuple[int, int] | None], text_bytes: int) -> None:
        """One call: its pictures' sizes (None: not known) and the bytes of its text in UTF-8."""
        tokens_in = sum(map(_picture_tokens, sizes)) + ceil(text_bytes / _UTF8_BYTES_PER_TOKEN)
        self.calls += 1
        self.tokens_in += tokens_in
        price = self.price_of(model)
        money = price.of(tokens_in, self.assumed.tokens_out, self.assumed.seconds) if price else None
        if price is None or money is None:
            self.unpriced += 1
        else:
            self.money[price.currency] = self.money.get(price.currency, 0.0) + money

    def seconds(self, concurrency: int, rate: float | None) -> float:
        """From the first question to the last answer."""
        if not self.calls:
            return 0.0
        rounds = ceil(self.calls / concurrency)
        last_begins_s = (self.calls - 1) / rate if rate else 0.0
        return max(rounds * self.assumed.seconds, last_begins_s + self.assumed.seconds)


def _picture_tokens(size: tuple[int, int] | None) -> int:
    if size is None:
        return _PICTURE_TOKENS_UNKNOWN
    width, height = size
    return min(_PICTURE_TOKENS_MOST, max(1, round(width / _BLOCK_SIDE)) * max(1, round(height / _BLOCK_SIDE)))
