"""One reply of the upstream for several clients: the one that it was asked for, and all that joined it.

A `Crowd` is a flight (cache/flight.py) with what is needed to share its reply. Each follower has a `Seat`, which holds
what it has not taken yet. Nobody waits for anybody: the client that leads has an `Outbox`, and a follower that
falls too far behind is cut off. For one event loop; nothing here sends or decides who may join.
"""

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import anyio
from starlette.types import Message, Send

from cache.entry import Entry
from cache.flight import Flight
from gateway.account import Shared
from gateway.capture import Answered, Tap
from gateway.dialects.base import Dialect
from gateway.headers import Raw
from gateway.question import UNCOUNTED, Alone, Question, Reply, Unstored

# Whatever else an answer is, these came as the upstream meant them: who has begun to read one gets it to its end.
_MEANT = frozenset(
    (
        Unstored.TRUNCATED,
        Unstored.TOOL_CALLS,
        Unstored.REFUSED,
        Unstored.UNFINISHED,
        Unstored.EMPTY,
        Unstored.BY_RULE,
    )
)
_FAILURES = frozenset((Unstored.STATUS, Unstored.CUT_SHORT, Unstored.ERROR_IN_REPLY))


@dataclass(frozen=True, slots=True)
class Whole:
    """The end of a reply that may be kept."""

    reply: Reply
    shared: Shared


@dataclass(frozen=True, slots=True)
class Unkept:
    """The end of a reply that may not be kept: who has not begun to read it goes to the upstream. `shared` where it
    nevertheless came as the upstream meant it; None where it broke."""

    why: Alone
    shared: Shared | None


End = Whole | Unkept
_TOO_LARGE = Unkept(Alone.LEADER_UNCACHEABLE, None)


class Bell:
    """Wakes whoever waits for a change."""

    def __init__(self) -> None:
        self._event = anyio.Event()

    def ring(self) -> None:
        self._event.set()
        self._event = anyio.Event()

    async def wait(self) -> None:
        await self._event.wait()


class Seat:
    """A follower's place: the pieces of the stream that it has not taken yet, and the end once that is known."""

    def __init__(self, pieces: list[bytes] | None, bytes_max: int) -> None:
        """`pieces` are those that have come; None for a follower that wants the whole answer."""
        self._waiting = deque(pieces or ())
        self._bytes = sum(map(len, self._waiting))
        self._bytes_max = bytes_max
        self.bell = Bell()
        self.takes_pieces = pieces is not None
        self.end: End | None = None
        self.fell_behind = False

    def push(self, piece: bytes) -> None:
        if self.takes_pieces and not self.fell_behind:
            self._waiting.append(piece)
            self._bytes += len(piece)
            if self._bytes > self._bytes_max:
                self.fell_behind = True
                self._waiting.clear()
        self.bell.ring()

    def take(self) -> bytes | None:
        """The next piece; None if none is waiting."""
        if not self._waiting:
            return None
        piece = self._waiting.popleft()
        self._bytes -= len(piece)
        return piece

    def close(self, end: End) -> None:
        self.end = self.end or end
        self.bell.ring()


class Crowd(Flight):
    def __init__(self, entry: Entry, dialect: Dialect, question: Question, bytes_max: int, epoch: int = 0) -> None:
        """`bytes_max` is how much of a reply is held, and how much a follower may fall behind; `epoch` is the model's
        when the question was read."""
        super().__init__(entry)
        self.epoch = epoch
        self.dialect = dialect
        self.question = question
        self.media_type: str | None = None  # of a stream that can be told as it comes
        self.changed = Bell()  # somebody came, or somebody left
        self._bytes_max = bytes_max
        self._begun = False  # its head has come
        self._pieces: list[bytes] = []
        self._bytes = 0
        self._seats: set[Seat] = set()
        self._end: End | None = None

    @property
    def followers(self) -> int:
        return len(self._seats)

    @contextmanager
    def seat(self, streams: bool) -> Iterator[Seat]:
        """A follower's place for as long as it stays. `streams`: it can take a stream as it comes."""
        takes_pieces = streams and (self.media_type is not None or not self._begun)
        seat = Seat(self._pieces if takes_pieces else None, self._bytes_max)
        if self._end is not None:
            seat.close(self._end)
        elif self._is_too_large:  # the beginning is gone
            seat.close(_TOO_LARGE)
        self._seats.add(seat)
        self.changed.ring()
        try:
            yield seat
        finally:
            self._seats.discard(seat)
            self.changed.ring()

    async def deserted(self) -> None:
        """Until nobody follows."""
        while self._seats:
            await self.changed.wait()

    def head(self, status: int, fields: Raw) -> None:
        """The reply's head, as the upstream sent it."""
        self._begun = True
        if status != 200:
            self._finish(Unkept(Alone.LEADER_FAILED, None))
            return
        sent = {name.lower(): value for name, value in fields}
        media_type = sent.get(b"content-type", b"").decode("latin-1")
        streams = media_type.lower().startswith(self.dialect.stream_type.partition(";")[0])
        if streams and sent.get(b"content-encoding", b"identity").lower() == b"identity":
            self.media_type = media_type
        else:
            for seat in self._seats:
                seat.takes_pieces = False

    def feed(self, piece: bytes) -> None:
        self._bytes += len(piece)
        if self._is_too_large:
            self._overflow()
        elif self.media_type is not None:
            self._pieces.append(piece)
        for seat in self._seats:
            seat.push(piece)

    def read(self, reply: Reply | Unstored, answered: Answered) -> None:
        """The reply has ended, and this is what it is."""
        if isinstance(reply, Reply):
            self._finish(Whole(reply, Shared(self.dialect.usage(reply), answered.seconds)))
        else:
            why = Alone.LEADER_FAILED if reply in _FAILURES else Alone.LEADER_UNCACHEABLE
            meant = reply in _MEANT or (reply is Unstored.REPLY_TOO_LARGE and answered.complete)
            self._finish(Unkept(why, Shared(UNCOUNTED, answered.seconds) if meant else None))

    def unshared(self) -> None:
        """Whatever comes is for the client alone that it was asked for."""
        self._finish(Unkept(Alone.LEADER_UNCACHEABLE, None))

    def stalled(self) -> None:
        """Somebody has waited for too long: nobody else shall."""
        self.joinable = self.shareable = False

    def close(self) -> None:
        """However it ended: nobody waits any longer."""
        if self._end is None:
            self._finish(Unkept(Alone.LEADER_FAILED, None))

    def _overflow(self) -> None:
        self.joinable = self.shareable = False
        self._pieces.clear()
        for seat in self._seats:
            if not seat.takes_pieces:
                seat.close(_TOO_LARGE)

    @property
    def _is_too_large(self) -> bool:
        return self._bytes > self._bytes_max

    def _finish(self, end: End) -> None:
        if self._end is None:
            self._end = end
            if isinstance(end, Unkept):
                self.joinable = self.shareable = False
            self._pieces = []
            for seat in self._seats:
                seat.close(end)


class Tee(Tap):
    """A tap that the crowd drinks from as well."""

    def __init__(self, bytes_max: int, crowd: Crowd, *room: Callable[[int], bool]) -> None:
        super().__init__(bytes_max, *room)
        self._crowd = crowd

    def feed(self, chunk: bytes) -> None:
        super().feed(chunk)
        self._crowd.feed(chunk)


class Outbox:
    """What the client that leads has not taken yet. Without followers it is waited for, as if nothing stood between;
    with followers it may fall behind, by as much as any of them."""

    def __init__(self, send: Send, crowd: Crowd, bytes_max: int) -> None:
        self._send = send
        self._crowd = crowd
        self._bytes_max = bytes_max
        self._waiting: deque[Message] = deque()
        self._bytes = 0
        self._bell = Bell()
        self._gone = False

    async def send(self, message: Message) -> None:
        self._waiting.append(message)
        self._bytes += len(message.get("body", b""))
        self._bell.ring()
        while self._waiting and not (self._crowd.followers and self._bytes <= self._bytes_max):
            await self._crowd.changed.wait()

    async def run(self) -> None:
        while True:
            while self._waiting:
                await self._pass_on(self._waiting[0])
                self._bytes -= len(self._waiting.popleft().get("body", b""))
                self._crowd.changed.ring()
            await self._bell.wait()

    async def drained(self) -> None:
        while self._waiting:
            await self._crowd.changed.wait()

    async def _pass_on(self, message: Message) -> None:
        try:
            if not self._gone:
                await self._send(message)
        except OSError:  # some servers say so that the client has left; to others it makes no difference
            self._gone = True
