"""Errors that a client may see, split by whose fault it is. A fault of the cache is none of these: it is a miss.

GatewayError
├── CallerError          4xx  the request asks us for something that does not exist
│   └── NotInCache       504  `only-if-cached`, and it is not (RFC 9111, section 5.2.1.7)
└── UpstreamError
    ├── UpstreamUnreachable  502
    └── UpstreamTimeout      504
ConfigError              start-up only: the settings cannot work, and the message says what to do
"""


class GatewayError(Exception):
    """Base. `status` is the HTTP status, `code` one word for programs, the message a sentence for people."""

    status = 500
    code = "gateway_error"


class CallerError(GatewayError):
    status = 400
    code = "bad_cache_header"


class NotInCache(CallerError):
    status = 504
    code = "not_in_cache"


class UpstreamError(GatewayError):
    status = 502
    code = "upstream_error"


class UpstreamUnreachable(UpstreamError):
    code = "upstream_unreachable"


class UpstreamTimeout(UpstreamError):
    status = 504
    code = "upstream_timeout"


class ConfigError(Exception):
    """The configuration cannot work."""
