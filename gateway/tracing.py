"""What a request's trace is to the rest of the gateway: three calls. No library is imported here.

Without `otlp_endpoint` there is no `Tracing`, and nothing of it runs. `telemetry.py` is the one that there is.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol

Raw = Sequence[tuple[bytes, bytes]]  # header fields, names in lower case


class Span(NamedTuple):
    """A stage of a request, on the monotonic clock."""

    name: str
    begun_s: float
    ended_s: float


class Trace(Protocol):
    """One request's trace."""

    def upstream(self, fields: Raw) -> Raw:
        """The fields that go upstream, so that what the upstream does is part of this trace."""
        ...

    def end(self, facts: Mapping[str, Any], spans: Sequence[Span], ended_s: float) -> None:
        """The request is over: `facts` are those of its log line, `ended_s` is on the monotonic clock."""
        ...


class Tracing(Protocol):
    def begin(self, fields: Raw) -> Trace:
        """A request with these fields has come; a trace that they name is continued."""
        ...

    def close(self) -> None:
        """Send what waits. Blocking."""
        ...
