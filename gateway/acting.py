"""The rules at work on one request: on its reply's way to the client, and once the client has it.

Never in the way: whatever goes wrong with a rule, the answer goes on as it is, and that is counted.
"""

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

import anyio.to_thread
import orjson

from gateway import headers
from gateway.account import Trail
from gateway.capture import Rendered
from gateway.delivery import Alterations
from gateway.dialects.base import Dialect
from gateway.dialects.framing import Editor
from gateway.events import Event, Events
from gateway.gather import ON_LOOP_BYTES
from gateway.headers import Raw
from gateway.labelling import Labelling, Unlabelled
from gateway.question import Reply
from gateway.rules.book import Facing, Facts, LeftAlone, Rulebook, tags
from gateway.rules.edit import Report, edited
from gateway.rules.live import Live
from gateway.rules.settings import Rule

log = logging.getLogger("lookalike")


@dataclass(frozen=True, slots=True)
class Asking:
    """What rules may have to know of a request. `keep`: its answer may be on disk; without `body`, it was not read,
    and without `prompt`, it was no question to the cache."""

    request: str  # its id
    keep: bool
    body: bytes | None = field(default=None, repr=False)
    prompt: str | None = field(default=None, repr=False)


@dataclass(slots=True)
class Acting:
    """The rules that one request faces, and what they came to."""

    facing: Facing
    dialect: Dialect
    asking: Asking
    model: str | None
    bytes_max: int
    report: Report = field(default_factory=Report)

    @property
    def is_live(self) -> bool:
        """Whether a stream can be changed while it comes; otherwise it is held until it is whole."""
        return Live.serves(self.dialect, self.facing)

    def altered(self, status: int, fields: Raw, editors: Sequence[Editor]) -> Alterations:
        """What is done to a reply from upstream, after what `editors` do. Never raises."""
        try:
            return self._altered(fields, editors) if status == 200 else Alterations(fields, editors)
        except Exception:
            self.report.failed()
            return Alterations(fields, editors)

    def _altered(self, fields: Raw, editors: Sequence[Editor]) -> Alterations:
        if headers.is_coded(fields):
            self.report.left_alone = LeftAlone.CODED
            return Alterations(fields, editors)
        media_type = headers.value(fields, b"content-type")
        if media_type.startswith(self.dialect.stream_type.partition(";")[0]):
            return self._streamed(fields, editors)
        if "json" not in media_type:
            self.report.left_alone = LeftAlone.UNREADABLE
            return Alterations(fields, editors)
        return Alterations(fields, editors, _Held(self, streamed=False))

    def _streamed(self, fields: Raw, editors: Sequence[Editor]) -> Alterations:
        changes = self.facing.edits
        known = changes and headers.value(fields, b"content-length") != ""
        if known or not Live.serves(self.dialect, self.facing):
            return Alterations(fields, editors, _Held(self, streamed=True))
        live = Live(self.dialect, self.facing, self.bytes_max, self.report)
        own = headers.tagged(tags(self.facing.anyway.rules))
        return Alterations([*(headers.of_changed_body(fields, None) if changes else fields), *own], [*editors, live])

    def refuses(self, reply: Reply) -> bool:
        """Whether a rule says that this answer is not to be kept. In doubt it is not."""
        if not self.facing.refuses_any:
            return False
        try:
            found = self.dialect.texts.whole(reply.body)
            texts = {piece.answer: "" for piece in found.pieces}
            for piece in found.pieces:
                texts[piece.answer] += piece.text
            judged = [self.facing.anyway, *map(self.facing.judge, texts.values())]
        except Exception:
            log.exception("the rules failed at an answer; it is not kept")
            return True
        return any(rule.keep is False for one in judged for rule in one.rules)

    @property
    def held(self) -> list[Rule]:
        """The rules that held for any of the answers, in order."""
        return _each_once(rule for answer in self.report.answers for rule in answer.judged.rules)

    @property
    def if_labelled(self) -> list[Rule]:
        return _each_once(rule for answer in self.report.answers for rule in answer.judged.if_labelled)

    @property
    def edited(self) -> bool:
        return any(answer.delivered != answer.text for answer in self.report.answers)


@dataclass(frozen=True, slots=True)
class _Held:
    """A reply that is read once it is whole."""

    acting: Acting
    streamed: bool

    @property
    def bytes_max(self) -> int:
        return self.acting.bytes_max

    def revised(self, fields: Raw, body: bytes) -> tuple[Raw, bytes]:
        acting = self.acting
        new = edited(acting.dialect, acting.facing, body, self.streamed, acting.report)
        own = headers.tagged(tags(acting.held))
        return [*(fields if new == body else headers.of_changed_body(fields, len(new))), *own], new

    def too_large(self) -> None:
        self.acting.report.left_alone = LeftAlone.TOO_LARGE


class Actors:
    """Finds the rules that a request faces, and tells of those that held."""

    def __init__(
        self, book: Rulebook, events: Events, labelling: Labelling, bytes_max: int, clock: Callable[[], float]
    ) -> None:
        self._book = book
        self._events = events
        self._labelling = labelling
        self._bytes_max = bytes_max
        self._clock = clock

    async def facing(self, dialect: Dialect, trail: Trail, asking: Asking, hit: str | None = None) -> Acting | None:
        """The rules that may hold, once it is known where the answer comes from; None where none can. `hit`: the class
        of hit that it will be, if it comes to that. Never raises."""
        if not self._book.rules:
            return None
        try:
            return await self._facing(dialect, trail, asking, hit or trail.hit_class.value)
        except Exception:
            log.exception("the rules failed before an answer")
            trail.left_alone = LeftAlone.FAULT
            return None

    async def _facing(self, dialect: Dialect, trail: Trail, asking: Asking, hit: str) -> Acting | None:
        model = trail.model
        if model is None and asking.body is not None and self._book.asks_model:
            model = await _model_in(asking.body)
        facing = self._book.facing(Facts(dialect.name, hit, model, trail.tenant))
        return Acting(facing, dialect, asking, model, self._bytes_max) if facing else None

    def served(self, acting: Acting, stored: Rendered, streamed: bool, trail: Trail) -> Rendered:
        """A stored answer as this client gets it."""
        body = edited(acting.dialect, acting.facing, stored.body, streamed, acting.report)
        self._note(acting, trail)
        return replace(stored, body=body)

    def _note(self, acting: Acting, trail: Trail) -> None:
        """What the rules came to, for the header of a hit and for the ledger."""
        trail.tags, trail.edited = tags(acting.held), acting.edited
        trail.left_alone = acting.report.left_alone

    def delivered(self, acting: Acting, trail: Trail) -> None:
        """The client has the answer: whoever is to know is told. Never raises."""
        try:
            self._note(acting, trail)
            if not acting.report.answers:
                return
            event = self._event(acting, trail)
            for rule in acting.held:
                if rule.notify:
                    self._events.publish(replace(event, rule=rule.name, webhooks=tuple(rule.notify)))
            if rules := acting.if_labelled:
                text = "\n\n".join(answer.text for answer in acting.report.answers)
                if not self._labelling.put(Unlabelled(rules, text, acting.asking.prompt, event)):
                    trail.left_alone = LeftAlone.BUSY
        except Exception:
            log.exception("the rules failed after an answer")
            trail.left_alone = LeftAlone.FAULT

    def _event(self, acting: Acting, trail: Trail) -> Event:
        return Event(
            rule="",
            webhooks=(),
            tags=trail.tags,
            answer="\n\n".join(answer.delivered for answer in acting.report.answers),
            prompt=acting.asking.prompt,
            label=None,
            model=acting.model,
            dialect=acting.dialect.name,
            hit=trail.hit_class.value,
            entry=trail.entry.id if trail.entry else trail.stored,
            request=acting.asking.request,
            tenant=trail.tenant or "",
            time_s=self._clock(),
            keep=acting.asking.keep,
        )


def _each_once(rules: Iterable[Rule]) -> list[Rule]:
    return list({id(rule): rule for rule in rules}.values())


async def _model_in(body: bytes) -> str | None:
    value = _read(body) if len(body) <= ON_LOOP_BYTES else await anyio.to_thread.run_sync(_read, body)
    model = value.get("model") if isinstance(value, dict) else None
    return model if isinstance(model, str) else None


def _read(body: bytes) -> object:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
