"""Where a request goes: the upstream's base URL and the request's path, joined as the user means it. Pure.

`http://host:8000` and `http://host:8000/v1` are one upstream, and clients may have `/v1` in their base
URL or not: nobody means `/v1/v1`, and OpenAI's resources live under a version.
"""

import re
from dataclasses import dataclass

_VERSION = re.compile(r"v\d+\w*")
# What means the same with a version in front and without. Not `completions` or `embeddings`: llama.cpp answers to
# those without a version as well, in formats of its own.
_RESOURCES = frozenset(("chat", "models", "responses"))


@dataclass(frozen=True, slots=True)
class Base:
    """An upstream's base path, split into what comes before the version, and the version."""

    prefix: tuple[str, ...]
    version: str | None

    @classmethod
    def of(cls, path: str) -> "Base":
        segments = tuple(segment for segment in path.split("/") if segment)
        if segments and _VERSION.fullmatch(segments[-1]):
            return cls(segments[:-1], segments[-1])
        return cls(segments, None)

    def target(self, path: str) -> str:
        """The path to ask the upstream for. `path` is as it came, still percent-encoded, and stays so."""
        whole = (*self.prefix, *([self.version] if self.version else []))
        segments = path.split("/")[1:] or [""]
        if not self.prefix:
            return "/" + "/".join(self._versioned(segments, default="v1"))
        for overlap in range(min(len(whole), len(segments)), 0, -1):
            if whole[-overlap:] == tuple(segments[:overlap]):
                return "/" + "/".join((*whole, *segments[overlap:]))
        if any(map(_VERSION.fullmatch, whole)) and _VERSION.fullmatch(segments[0]):
            segments = segments[1:]  # the client's /v1 stands for whatever version this upstream has
        return "/" + "/".join((*whole, *segments))

    def _versioned(self, segments: list[str], default: str) -> list[str]:
        return [self.version or default, *segments] if segments[0] in _RESOURCES else segments
