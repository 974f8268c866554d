"""How long to wait before the next attempt, and whether there is to be one. Pure."""

import random
from collections.abc import Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Final

# What another attempt may mend: the server's own trouble, or too many at once.
_AGAIN: Final = frozenset((408, 409, 425, 429))
_BASE_S: Final = 1.0
_MOST_S: Final = 60.0
# A server that names a longer time than this is not coming back within this run.
NAMED_MOST_S: Final = 3600.0


def may_retry(status: int) -> bool:
    return status in _AGAIN or status >= 500


def named_s(headers: Mapping[str, str], now_s: float) -> float | None:
    """The seconds that the server asks to wait (Retry-After, RFC 9110 section 10.2.3, or retry-after-ms, which OpenAI
    sends beside it); None where it asks nothing that can be read. `now_s` is Unix time."""
    for name, unit_s in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        text = headers.get(name, "").strip()
        if text.isascii() and text.replace(".", "", 1).isdigit():
            return float(text) * unit_s
    try:
        date = parsedate_to_datetime(headers.get("retry-after", ""))
    except (TypeError, ValueError):
        return None
    return max(0.0, date.replace(tzinfo=date.tzinfo or UTC).timestamp() - now_s)


def delay_s(attempt: int, named: float | None, chance: random.Random) -> float:
    """Seconds to wait after this attempt (from 1) failed: what the server named, or else twice as long each time, up to
    a minute. Up to a quarter is added by chance, so that all who wait do not come back at one moment."""
    own = min(_MOST_S, _BASE_S * 2 ** min(attempt - 1, 10))
    return (own if named is None else named) * (1 + chance.random() / 4)
