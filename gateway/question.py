"""The values that a request becomes, and the closed set of reasons for not caching it. No I/O, no clock.

`Bypass` says why the cache was not asked, `cache.verdict.Doubt` why it had no answer, `Unstored` why a
reply was not kept, `Alone` why one was not shared. Each reason is one word, the same in header, log line,
statistics, docs and tests.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from cache.keys import JSON
from gateway.tenants import Caller

# Bodies of providers: checked member by member where they are read, hence Any.
Object = dict[str, Any]


class Bypass(StrEnum):
    """Why the cache was not asked: the request is forwarded untouched and its reply is not kept."""

    NO_DIALECT = "no-dialect"  # not a path that carries questions about pictures
    MODE_OFF = "mode-off"  # the operator or the caller turned the cache off
    SHADOW = "shadow"  # the operator wants to know what would have been served, and has nothing served
    NO_PICTURE = "no-picture"
    PICTURE_BY_REFERENCE = "picture-by-reference"  # a URL, path or id: its content is not in the request
    PICTURE_FETCH_REFUSED = "picture-fetch-refused"  # the rules do not let its URL be fetched
    PICTURE_FETCH_FAILED = "picture-fetch-failed"
    PICTURE_UNREADABLE = "picture-unreadable"
    PICTURE_TOO_LARGE = "picture-too-large"
    PICTURE_ANIMATED = "picture-animated"
    PICTURES_TOO_MANY = "pictures-too-many"
    PICTURE_TOO_SLOW = "picture-too-slow"  # to decode
    UNKNOWN_PART = "unknown-part"  # video, audio, a file or something newer than this version
    UNKNOWN_SHAPE = "unknown-shape"  # a body that does not have this dialect's form
    NOT_JSON = "not-json"
    AMBIGUOUS_JSON = "ambiguous-json"  # duplicate keys, huge numbers: servers may read it differently
    ENCODED_BODY = "encoded-body"  # compressed or encrypted: not ours to read
    BODY_TOO_LARGE = "body-too-large"
    STATEFUL = "stateful"  # the answer depends on, or creates, state at the upstream
    SERVER_TOOLS = "server-tools"  # the upstream may search or run something: the answer is not the picture's
    RANGE_OR_UPGRADE = "range-or-upgrade"
    CACHE_SLOW = "cache-slow"  # the lookup took longer than a request may wait for it
    MODEL_CHANGING = "model-changing"  # a change of its weights passes through, or its old answers are being deleted
    CACHE_FAULT = "cache-fault"  # ours: counted, logged, never the client's trouble


class Unstored(StrEnum):
    """Why a reply was not kept, although its request could have been answered from the cache."""

    NO_STORE = "no-store"  # the caller asked for it
    STATUS = "upstream-status"
    OTHER_UPSTREAM = "other-upstream"  # the second one, which may serve other weights
    CUT_SHORT = "cut-short"  # the upstream or the client went away before the end
    ERROR_IN_REPLY = "error-in-reply"
    MALFORMED = "malformed-reply"
    ENCODED_REPLY = "encoded-reply"
    REPLY_TOO_LARGE = "reply-too-large"
    TRUNCATED = "truncated-answer"  # stopped by the token limit: every retry would get the same stump
    TOOL_CALLS = "tool-calls"
    REFUSED = "refused"  # content filter or refusal
    UNFINISHED = "unfinished-answer"  # a finish reason that is not known to mean "done"
    EMPTY = "empty-answer"
    SERVER_TOOLS_RAN = "server-tools-ran"
    PICTURE_UNREADABLE = "picture-unreadable-here"  # the upstream read it, we could not
    BY_RULE = "refused-by-rule"  # one of the operator's rules says so
    MODEL_CHANGED = "model-changed"  # while it was asked
    HELD_ALREADY = "held-already"  # it was asked to prove a key only: the answer that there is stands
    BUSY = "busy"  # more answers wait to be stored than the machine keeps up with
    STORE_FAULT = "store-fault"


class Alone(StrEnum):
    """Why a request that waited for the answer to another went to the upstream itself."""

    LEADER_FAILED = "leader-failed"  # its upstream call failed, was not answered with 200, or broke off
    LEADER_UNCACHEABLE = (
        "leader-uncacheable"  # its answer is none that others may have: tool calls, truncated, too large
    )
    LEADER_UNCOUNTED = "leader-uncounted"  # it came without the token counts that this client needs
    LEADER_STALLED = "leader-stalled"  # nothing came for coalesce_wait_s


class NotCacheable(Exception):
    """Raised by whatever reads a request when it is in doubt; the request is then forwarded as it is."""

    def __init__(self, why: Bypass) -> None:
        super().__init__(why.value)
        self.why = why


class Mode(StrEnum):
    """The highest rung of the ladder that may answer. A caller can only make it stricter. `SHADOW` is the
    operator's alone: it climbs as high as `NEAR`, and serves nothing."""

    OFF = "off"
    EXACT = "exact"
    PIXEL = "pixel"
    NEAR = "near"
    SHADOW = "shadow"

    @classmethod
    def callers(cls) -> list["Mode"]:
        """Those that a caller may ask for."""
        return [mode for mode in cls if mode is not cls.SHADOW]

    def stricter(self, other: "Mode") -> "Mode":
        order = list(Mode)
        return min(self, other, key=order.index)


class Scrutiny(StrEnum):
    """How far below its limit the guard's score must stay. A caller can only make it stricter."""

    NORMAL = "normal"
    STRICT = "strict"

    def stricter(self, other: "Scrutiny") -> "Scrutiny":
        return Scrutiny.STRICT if Scrutiny.STRICT in (self, other) else Scrutiny.NORMAL


class Judgement(StrEnum):
    """What a person says of a hit."""

    RIGHT = "right"
    WRONG = "wrong"


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the caller's headers ask of the cache (RFC 9111, section 5.2.1, and the X-Lookalike- fields)."""

    mode: Mode = Mode.NEAR
    scrutiny: Scrutiny = Scrutiny.NORMAL
    threshold: float = 0.0  # cosine; below the one in force it changes nothing
    no_cache: bool = False
    no_store: bool = False
    only_if_cached: bool = False
    max_age_s: float | None = None
    min_fresh_s: float = 0.0
    stale_if_error_s: float = math.inf  # how far past its time an answer may be, where the upstream fails (RFC 5861)


@dataclass(frozen=True, slots=True)
class Call:
    """A request that a dialect may read. `path` is the one that the upstream is asked; header names are lower
    case, and credentials are not among them, nor are keys in the query. `tenant` is the digest under which answers
    are kept, `caller` who asks; None: nobody who has to prove anything."""

    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes
    tenant: str
    partitions: tuple[tuple[str, str], ...] = ()
    stateless: bool = False  # the operator says that the upstream keeps no answer once it is given
    caller: Caller | None = None


@dataclass(frozen=True, slots=True)
class PictureRef:
    """A picture as the request names it: a data URL, or a reference to somewhere else. A long data URL is a
    view of the request's bytes. `inlines` says that a data URL may stand in the place of an http(s) one."""

    url: str | memoryview
    inlines: bool = True


@dataclass(frozen=True, slots=True)
class Question:
    """A request, read: what is asked (`asked`, without the pictures), of which model, about which pictures.
    `prompt` is the text in it, to tell the kind of question by; it is never logged or kept."""

    model: str
    asked: JSON
    pictures: tuple[PictureRef, ...]
    stream: bool
    include_usage: bool  # the client of a stream wants the closing usage chunk
    choices: int  # answers wanted for the one question (`n`)
    prompt: str = field(repr=False)  # all text that is not the model's or a tool's, in order
    request_id: str | None = None  # an id by which the client lets the server name its reply
    tokens_max: int | None = None  # the limit of the answer, where the reply does not tell that it was met
    echoed: Object = field(default_factory=dict, repr=False)  # what is no part of the question, yet in the reply again

    @property
    def needs_usage(self) -> bool:
        return self.include_usage or not self.stream


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of a reply; None where the upstream did not say."""

    tokens_in: int | None
    tokens_out: int | None


UNCOUNTED = Usage(None, None)


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole answer. `chunks` are the stream's objects as the upstream cut them; empty if it came in one piece.
    `named` says that the upstream made its id from the caller's request id, so a replay must as well;
    `media_type` is the Content-Type it came with."""

    body: Object
    chunks: tuple[Object, ...] = ()
    named: bool = False
    media_type: str = ""


@dataclass(frozen=True, slots=True)
class Fresh:
    """What a replay regenerates: a token for new ids, and the time in Unix seconds."""

    token: str
    now_s: int
