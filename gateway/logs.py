"""How the gateway speaks: one line per request and per event, for people or for programs.

No line ever holds a prompt, a picture, a credential or a query string.
"""

import logging
import sys
from datetime import UTC, datetime

import orjson

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


class TextLines(logging.Formatter):
    """`12:00:01 INFO  POST /v1/chat/completions 200 near 48.1 ms model=qwen3-vl-8b similarity=0.9931`"""

    def format(self, record: logging.LogRecord) -> str:
        facts = getattr(record, "facts", None)
        message = _sentence(dict(facts)) if facts else record.getMessage()
        line = f"{_time(record):%H:%M:%S} {record.levelname:<7} {message}"
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


class JsonLines(logging.Formatter):
    """One JSON object per line; times in UTC."""

    def format(self, record: logging.LogRecord) -> str:
        line = {"time": _time(record).isoformat(), "level": record.levelname.lower(), "logger": record.name}
        line |= getattr(record, "facts", None) or {"message": record.getMessage()}
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
