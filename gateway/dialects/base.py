"""The contract of a dialect: one wire format, as pure functions over values. One file each.

A dialect that is in doubt raises NotCacheable while reading a request (it is then forwarded as it
is) and returns Unstored while reading a reply (it is then not kept). A field it does not know stays
in the key. tests/contracts/dialect_contract.py states the rest.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import ClassVar, Protocol

from gateway.dialects.framing import Editor, Frame, Framing
from gateway.dialects.texts import Texts
from gateway.question import Call, Fresh, Question, Reply, Unstored, Usage

# A frame of a stream that is under way to the same for another client; None: that client does not get it.
Retell = Callable[[Frame], Frame | None]


class Dialect(Protocol):
    name: ClassVar[str]
    stream_type: ClassVar[str]  # Content-Type of a stream, as it is made here from an answer that came whole
    texts: ClassVar[Texts]  # where its replies have their text, for those who change it

    def claims(self, path: str) -> bool:
        """Whether a POST to this path speaks the dialect."""
        ...

    def parse(self, call: Call) -> Question:
        """Read a request. Raises NotCacheable when in doubt."""
        ...

    def framing(self) -> Framing:
        """A fresh decoder for one stream."""
        ...

    def whole(self, body: bytes) -> Reply | Unstored:
        """Read a reply that came in one piece."""
        ...

    def assemble(self, frames: Sequence[Frame], choices: int) -> Reply | Unstored:
        """Read a stream of `choices` answers that ended cleanly; CUT_SHORT unless its own end marks were seen."""
        ...

    def unstorable(self, reply: Reply) -> Unstored | None:
        """Why a whole reply must not be kept, or None."""
        ...

    def usage(self, reply: Reply) -> Usage: ...

    def text(self, reply: Reply) -> str:
        """What a reader takes from a whole reply: the text of its answers, in order, without its envelope."""
        ...

    def renew(self, reply: Reply, question: Question, fresh: Fresh) -> Reply:
        """The reply with new ids and times, consistent over all its chunks; everything else as it was."""
        ...

    def body(self, reply: Reply) -> bytes:
        """The reply in one piece."""
        ...

    def stream(self, reply: Reply, include_usage: bool) -> Iterable[Frame]:
        """The reply as a stream, cut as it was; `assemble(stream(reply, True))` has the same body."""
        ...

    def retell(self, leader: Question, question: Question, fresh: Fresh) -> Retell:
        """Another client's stream, told as it comes: of the answer to `leader`, each frame as `question`'s client
        gets it, as `stream(renew(reply))` would have it. What is no part of an answer (an error, a heartbeat) passes as
        it is. What it gives raises ValueError for a frame that it cannot read."""
        ...

    def encode(self, frame: Frame) -> bytes:
        """A frame as bytes: the reverse of `framing`."""
        ...

    def asking_usage(self, body: bytes) -> tuple[bytes, Editor] | None:
        """The request, asking for token counts in its stream, and what takes them back out for a client that did
        not ask. None where they come anyway, or where the request says something about them already."""
        ...

    def error(self, status: int, code: str, message: str) -> bytes:
        """An error of ours in the shape that this dialect's clients understand."""
        ...
