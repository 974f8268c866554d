"""Errors that a client may see, split by whose fault it is. A fault of the cache is none of these: it is a miss.

GatewayError
├── CallerError          4xx  the request asks us for something that does not exist
│   └── NotInCache       504  `only-if-cached`, and it is not (RFC 9111, section 5.2.1.7)
├── Overloaded           503  more requests than this machine has memory for
└── UpstreamError        502
    ├── UpstreamUnreachable    502
    ├── UpstreamTimeout        504
    │   └── UpstreamConnectTimeout
    ├── UpstreamBusy           503  every connection to it is in use
    └── UpstreamDown           503  it failed so often that it is not asked for a moment
ConfigError              start-up only: the settings cannot work, and the message says what to do
"""

import math


class GatewayError(Exception):
    """Base. `status` is the HTTP status, `code` one word for programs, the message a sentence for people;
    `retry_after_s`, in whole seconds, where it makes sense to ask again."""

    status = 500
    code = "gateway_error"
    retry_after_s: int | None = None


class CallerError(GatewayError):
    status = 400
    code = "bad_cache_header"


class NotInCache(CallerError):
    status = 504
    code = "not_in_cache"


class Overloaded(GatewayError):
    status = 503
    code = "overloaded"
    retry_after_s = 1


class UpstreamError(GatewayError):
    """`nothing_sent`: not a byte of the request has left, so that it may be sent again."""

    status = 502
    code = "upstream_error"
    nothing_sent = False


class UpstreamUnreachable(UpstreamError):
    code = "upstream_unreachable"
    nothing_sent = True


class UpstreamTimeout(UpstreamError):
    status = 504
    code = "upstream_timeout"


class UpstreamConnectTimeout(UpstreamTimeout):
    nothing_sent = True


class UpstreamBusy(UpstreamError):
    status = 503
    code = "upstream_busy"
    nothing_sent = True
    retry_after_s = 1


class UpstreamDown(UpstreamError):
    status = 503
    code = "upstream_down"
    nothing_sent = True

    def __init__(self, message: str, wait_s: float) -> None:
        super().__init__(message)
        self.retry_after_s = max(1, math.ceil(round(wait_s, 3)))  # 2.0000000001 s are 2


class ConfigError(Exception):
    """The configuration cannot work."""
