"""Settings for when something is in trouble: the upstream, this machine's memory, or the process told to stop.

docs/upstream-trouble.md says what happens when.
"""

import os
from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, Field, SecretStr, model_validator

_MIB = 2**20
# Where Linux tells how much memory a container may use: cgroup v2, then v1.
_CGROUP = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))
_UNKNOWN = 2048 * _MIB


def memory_bytes() -> int:
    """Memory that this process may use: the machine's, or the container's where that is less."""
    try:
        machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # not on Windows
        machine = _UNKNOWN
    return min([machine, *(limit for limit in map(_limit, _CGROUP) if limit)])


def _limit(file: Path) -> int | None:
    try:
        text = file.read_text().strip()
    except OSError:
        return None
    return int(text) if text.isdigit() else None


class Trouble(BaseModel):
    """A part of `Settings`."""

    connect_retries: int = Field(
        1, ge=0, le=5, description="Further attempts to connect, where nothing of the request was sent yet"
    )
    upstream_idle_max: int = Field(100, ge=0, description="Idle connections to the upstream that are kept open")
    upstream_fallback: str | None = Field(None, description="Base URL of a second upstream with the same models")
    upstream_fallback_on: Literal["unreachable", "errors"] = Field(
        "unreachable", description="When it is asked; errors: also if the first answers with 429, 502, 503 or 504"
    )
    upstream_fallback_same: bool = Field(
        False, description="Both serve the same weights: answers of the second are stored as those of the first"
    )
    upstream_fallback_key: SecretStr | None = Field(
        None, description="Credential for the second upstream, in place of the client's"
    )
    breaker: Literal["off", "connection", "errors"] = Field(
        "connection", description="What opens the breaker; errors: also timeouts and 502, 503, 504"
    )
    breaker_failures: int = Field(5, ge=1, description="Failures in a row that open the breaker")
    breaker_open_s: float = Field(
        2.0, gt=0, le=300, allow_inf_nan=False, description="Seconds that an open breaker refuses at once"
    )
    breaker_probes: int = Field(1, ge=1, description="Requests that then try the upstream first")
    stale_if_error_s: float = Field(
        0.0, ge=0, allow_inf_nan=False, description="Seconds past ttl_s in which an answer may stand in for an upstream"
    )
    requests_max: int = Field(
        default_factory=lambda: max(256, memory_bytes() // (2 * _MIB)),
        ge=1,
        description="Requests in flight; beyond them 503",
    )
    held_bytes_max: int = Field(
        default_factory=lambda: memory_bytes() // 2,
        ge=_MIB,
        description="Memory for the bodies of requests and replies in flight; beyond it 503",
    )
    drain_s: float = Field(
        30.0, ge=0, allow_inf_nan=False, description="Seconds that replies may still take once told to stop"
    )

    @model_validator(mode="after")
    def a_second_upstream_is_named(self) -> Self:
        asked = self.upstream_fallback_on != "unreachable" or self.upstream_fallback_same
        if self.upstream_fallback is None and (asked or self.upstream_fallback_key):
            raise ValueError("upstream_fallback_on, _same and _key need upstream_fallback, the second upstream's URL")
        if self.upstream_fallback_same and self.upstream_fallback_key:
            raise ValueError(
                "upstream_fallback_same cannot be had with upstream_fallback_key: an answer that was got with another "
                "key than the client's does not show that the client's is good"
            )
        return self
