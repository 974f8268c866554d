"""How the gateway speaks: one line per request and per event, for people or for programs.

No line ever holds a prompt, a picture, a credential or a query string. An exception's own words may repeat what it was
given, so a traceback has them only where they are ours or the operating system's.
"""

import logging
import sqlite3
import sys
import traceback
from collections.abc import Iterator
from datetime import UTC, datetime
from types import TracebackType
from typing import Final

import orjson

from cache.errors import CacheFault
from embeddings.base import EmbedderUnavailable

# uvicorn's words for a reply that was broken off on purpose, because the upstream's was.
_BROKEN_OFF = "ASGI callable returned without completing response."


def configure(form: str, level: str) -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines() if form == "json" else TextLines())
    handler.addFilter(lambda record: record.getMessage() != _BROKEN_OFF)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for chatty in ("httpx", "httpcore", "uvicorn.access", "asyncio", "PIL", "urllib3", "filelock"):
        logging.getLogger(chatty).setLevel(logging.WARNING)


# Whose words are made of paths, ids and numbers alone.
_SPEAKING: Final = (CacheFault, EmbedderUnavailable, OSError, sqlite3.Error, MemoryError)

_Raised = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]


class _Lines(logging.Formatter):
    """What both forms have in common."""

    def formatException(self, ei: _Raised) -> str:
        return "" if ei[1] is None else "\n".join(_told(ei[1])).rstrip()

    def words(self, record: logging.LogRecord) -> str:
        """asyncio's further lines show an exception and what it holds."""
        message = record.getMessage()
        return message.partition("\n")[0] if record.name == "asyncio" else message


def _told(error: BaseException, seen: frozenset[int] = frozenset()) -> Iterator[str]:
    """A traceback, what led to it first; of a group, each."""
    before = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if before is not None and id(before) not in seen:
        yield from _told(before, seen | {id(error)})
        yield "which led to:"
    yield "Traceback (most recent call last):"
    yield "".join(traceback.format_tb(error.__traceback__)).rstrip()
    words = f": {error}" if isinstance(error, _SPEAKING) else ""
    yield f"{type(error).__module__}.{type(error).__qualname__}{words}"
    for inner in error.exceptions if isinstance(error, BaseExceptionGroup) else ():
        yield from _told(inner, seen | {id(error)})


class TextLines(_Lines):
    """`12:00:01 INFO  POST /v1/chat/completions 200 near 48.1 ms model=qwen3-vl-8b similarity=0.9931`"""

    def format(self, record: logging.LogRecord) -> str:
        facts = getattr(record, "facts", None)
        message = _sentence(dict(facts)) if facts else self.words(record)
        line = f"{_time(record):%H:%M:%S} {record.levelname:<7} {message}"
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


class JsonLines(_Lines):
    """One JSON object per line; times in UTC."""

    def format(self, record: logging.LogRecord) -> str:
        line = {"time": _time(record).isoformat(), "level": record.levelname.lower(), "logger": record.name}
        line |= getattr(record, "facts", None) or {"message": self.words(record)}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return orjson.dumps(line, default=str).decode()


def _time(record: logging.LogRecord) -> datetime:
    return datetime.fromtimestamp(record.created, UTC)


def _sentence(facts: dict[str, object]) -> str:
    first = [facts.pop(name, "-") for name in ("method", "path", "status", "cache", "ms")]
    stages = facts.pop("stages_ms", None)
    rest = [f"{name}={value}" for name, value in facts.items()]
    if isinstance(stages, dict):
        rest += [f"{name}_ms={value}" for name, value in stages.items()]
    return " ".join([*map(str, first[:4]), f"{first[4]} ms", *rest])
