"""A request that gets the answer to another one, while the upstream gives it: a follower from its seat to its end.

A client that wants a stream gets it while it comes, where the upstream streams too; otherwise it gets the answer in
its own form once that is whole. Until a follower has got its first byte it can still go to the upstream itself;
after that it ends as the stream ends that it follows.
"""

import functools
import logging
import secrets
from dataclasses import dataclass
from typing import assert_never

import anyio
import anyio.lowlevel

from cache.stores.base import Clock
from gateway import capture
from gateway.account import Account, Shared, Trail
from gateway.acting import Acting, Actors, Asking
from gateway.capture import Rendered, Retelling
from gateway.config import Settings
from gateway.crowd import Crowd, End, Seat, Unkept, Whole
from gateway.delivery import Alterations, Delivery
from gateway.estimate import estimate, missing
from gateway.exchange import Exchange, while_connected
from gateway.headers import Raw
from gateway.plan import Follow
from gateway.question import Alone, Fresh, Question, Reply
from gateway.serve import hit_headers, serve

log = logging.getLogger("lookalike")

_TOOLS = ("tools", "functions")


@dataclass(frozen=True, slots=True)
class _Cut:
    """The stream is left unended: the server then breaks the connection."""

    why: str


_Fate = Shared | Alone | _Cut
_CUT_SHORT = _Cut("upstream-cut-short")


class Following:
    def __init__(self, settings: Settings, account: Account, actors: Actors, clock: Clock, monotonic: Clock) -> None:
        self._settings = settings
        self._account = account
        self._actors = actors
        self._clock = clock
        self._monotonic = monotonic

    async def follow(self, exchange: Exchange, follow: Follow, asking: Asking, trail: Trail) -> bool:
        """Whether the client was answered; otherwise nothing was sent, and the upstream has to be asked."""
        trail.joined(follow.found)
        dialect, question, uploaded = follow.storing.dialect, follow.storing.question, anyio.Event()
        uploaded.set()
        acting = await self._actors.facing(dialect, trail, asking, trail.rung)
        rules = _Rules(self._actors, acting)
        # A stream that the rules hold until it is whole is better had whole: until then its client can go elsewhere.
        takes_pieces = _takes_pieces(question) and (acting is None or acting.is_live)
        with follow.crowd.seat(takes_pieces) as seat, trail.stage("follow", self._monotonic):
            times = self._clock, self._monotonic
            follower = _Follower(exchange, follow.crowd, seat, question, asking, rules, trail, self._account, *times)
            work = functools.partial(follower.run, self._settings.coalesce_wait_s, self._settings.read_timeout_s)
            fate = await while_connected(exchange, uploaded, work, anyio.lowlevel.checkpoint)
        match fate:
            case Shared() as shared:
                trail.given(shared)
                rules.delivered(trail)
            case Alone() as why:
                trail.collapsed, trail.alone, trail.similarity = False, why, None
            case _Cut(why):
                trail.error = why
            case Exception():
                raise fate
            case _:
                assert_never(fate)
        return not isinstance(fate, Alone)


def _takes_pieces(question: Question) -> bool:
    """Where the model may call a tool, what comes may be no answer for others; that is known once it is whole."""
    asked = question.asked if isinstance(question.asked, dict) else {}
    parameters = asked.get("parameters")
    places = (asked, parameters if isinstance(parameters, dict) else {})
    return question.stream and not any(place.get(name) for place in places for name in _TOOLS)


@dataclass(frozen=True, slots=True)
class _Rules:
    """Those that this client's answer faces."""

    actors: Actors
    acting: Acting | None

    def alter(self, status: int, fields: Raw) -> Alterations:
        return Alterations(fields) if self.acting is None else self.acting.altered(status, fields, ())

    def served(self, rendered: Rendered, streamed: bool, trail: Trail) -> Rendered:
        return rendered if self.acting is None else self.actors.served(self.acting, rendered, streamed, trail)

    def delivered(self, trail: Trail) -> None:
        if self.acting is not None:
            self.actors.delivered(self.acting, trail)


class _Follower:
    """One client, from its seat to its end."""

    def __init__(
        self,
        exchange: Exchange,
        crowd: Crowd,
        seat: Seat,
        question: Question,
        asking: Asking,
        rules: _Rules,
        trail: Trail,
        account: Account,
        clock: Clock,
        monotonic: Clock,
    ) -> None:
        self._exchange = exchange
        self._crowd = crowd
        self._seat = seat
        self._question = question
        self._name = asking.request
        self._rules = rules
        self._delivery = Delivery(exchange.send, monotonic, rules.alter)
        self._trail = trail
        self._account = account
        self._clock = clock
        self._fresh = Fresh(secrets.token_hex(12), int(clock()))
        self._retelling: Retelling | None = None
        self._begun = False  # the client has something

    async def run(self, wait_s: float, upstream_wait_s: float) -> _Fate:
        """Give what comes to the client. Without a byte from the upstream for `wait_s` it gives up; once it has begun,
        it has to wait for as long as the upstream's own limit, too."""
        while True:
            end = self._seat.end
            if end is not None and not self._begun:
                return await self._at_once(end)
            if self._seat.fell_behind:
                return _Cut("client-too-slow") if self._begun else Alone.LEADER_UNCACHEABLE
            if (piece := self._seat.take()) is not None:
                if (told := self._retold(piece)) is None:
                    return _CUT_SHORT if self._begun else Alone.LEADER_UNCACHEABLE
                await self._tell(told)
            elif end is not None:
                return await self._ended(end)
            else:
                with anyio.move_on_after(wait_s + upstream_wait_s * self._begun) as waited:
                    await self._seat.bell.wait()
                if waited.cancelled_caught:
                    self._crowd.stalled()
                    return _CUT_SHORT if self._begun else Alone.LEADER_STALLED

    def _retold(self, piece: bytes) -> bytes | None:
        """A piece of the stream as this client gets it; None if that cannot be made of it."""
        crowd = self._crowd
        try:
            if self._retelling is None:
                self._retelling = Retelling(crowd.dialect, crowd.question, self._question, self._fresh)
            return self._retelling.feed(piece)
        except ValueError:
            return None
        except Exception:  # ours, and never the client's trouble
            log.exception("a stream could not be told to another client")
            return None

    async def _tell(self, told: bytes) -> None:
        if told and not self._begun:
            self._begun, self._trail.status = True, 200
            media_type = (b"content-type", (self._crowd.media_type or "").encode("latin-1"))
            await self._delivery.begin(200, [media_type, *hit_headers(self._trail, self._name, self._clock())])
        if told:
            await self._delivery.take(told)

    async def _at_once(self, end: End) -> _Fate:
        """The whole answer, or none."""
        match end:
            case Unkept(why):
                return why
            case Whole(reply, shared):
                if self._question.needs_usage and reply.chunks and shared.usage.tokens_out is None:
                    return Alone.LEADER_UNCOUNTED
                try:
                    rendered = self._rendered(reply)
                    self._estimate(end)
                except Exception:  # ours, and never the client's trouble
                    log.exception("an answer could not be told to another client")
                    return Alone.LEADER_UNCACHEABLE
                self._account.ending(self._trail)
                await serve(self._exchange.send, rendered, self._trail, self._name, self._clock())
                return shared
            case _:
                assert_never(end)

    def _rendered(self, reply: Reply) -> Rendered:
        dialect, question = self._crowd.dialect, self._question
        rendered = capture.render(dialect, question, dialect.renew(reply, question, self._fresh))
        return self._rules.served(rendered, question.stream, self._trail)

    async def _ended(self, end: End) -> _Fate:
        """The stream that was begun, ended as it ended for the client that leads."""
        if end.shared is None:
            await self._delivery.break_off()
            return _CUT_SHORT
        self._estimate(end)
        self._account.ending(self._trail)
        await self._delivery.end()
        return end.shared

    def _estimate(self, end: End) -> None:
        """Tokens that the upstream did not count."""
        if isinstance(end, Whole) and None in (end.shared.usage.tokens_in, end.shared.usage.tokens_out):
            answer = self._crowd.dialect.text(end.reply)
            guessed = estimate(self._question.prompt, answer, self._crowd.entry.sizes)
            self._trail.estimated = missing(end.shared.usage, guessed)
