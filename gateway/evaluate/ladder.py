"""The ladder as the gateway climbs it, over picture files in place of requests. No model is asked, no socket opened.

The parts are the product's own: `gateway.fingerprint` looks at a picture, `cache.lookup.climb` decides. Only the
store differs: the reference store, with evidence read when it is wanted, and able to hide entries.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, assert_never

from cache.entry import Entry, Record
from cache.keys import Asked, Scope, ask
from cache.lookup import Exact, Miss, Near, Pixel, Rung, Terms, climb
from cache.stores.memory import MemoryStore
from cache.verdict import Different, Spot, Verdict
from embeddings.base import RGB, Embedder, Space, Vectors
from embeddings.batching import Embedded, Ready, State
from gateway.config import Settings
from gateway.evaluate.words import Reason
from gateway.fingerprint import Fingerprint, Workers
from gateway.pictures import Picture
from gateway.question import NotCacheable, Scrutiny

_SCOPE: Final = Scope("evaluate", "", "", "", "", ())
_UNBOUNDED: Final = 2**62


@dataclass(frozen=True, slots=True)
class Hit:
    """Answered from the entry with this id."""

    rung: str  # exact, pixel or near
    entry: str
    similarity: float | None = None
    score: float | None = None


@dataclass(frozen=True, slots=True)
class Refused:
    """Asked of the model. `entry` is the stored picture that was nominated first and refused."""

    reason: Reason
    entry: str | None = None
    similarity: float | None = None
    score: float | None = None
    spot: Spot | None = None


Outcome = Hit | Refused


class Shelf(MemoryStore):
    """Records put at once, without evidence: `evidence` gives that by entry id."""

    def __init__(self, records: Iterable[Record], evidence: Callable[[str], bytes]) -> None:
        super().__init__(lambda: 0.0, _UNBOUNDED)
        self._records = {record.entry.id: record for record in records}
        self._used = dict.fromkeys(self._records, 0)
        self._read = evidence
        self.shows: Callable[[str], bool] = lambda entry_id: True
        self.consulted: list[str] = []  # whose evidence was read, in order

    async def evidence(self, entry_id: str) -> tuple[bytes, ...]:
        self.consulted.append(entry_id)
        return (self._read(entry_id),)

    def _entries(self) -> Iterator[Entry]:
        return (entry for entry in super()._entries() if self.shows(entry.id))


@dataclass(frozen=True, slots=True)
class From:
    """An embedder that nominates from another cosine."""

    embedder: Embedder
    threshold: float

    @property
    def space(self) -> Space:
        return self.embedder.space

    def embed(self, pictures: Sequence[RGB]) -> Vectors:
        return self.embedder.embed(pictures)


class Direct:
    """An embedder that is ready, without the thread and the queue around it."""

    def __init__(self, embedder: Embedder) -> None:
        self._embedder = embedder

    @property
    def state(self) -> State:
        return Ready(self._embedder, None)

    async def embed(self, pictures: Sequence[RGB]) -> Embedded | None:
        return Embedded(self._embedder.space, self._embedder.embed(pictures), 0.0)


class Ladder:
    """Looks at picture files and climbs, as `settings` say. `floor` is the lowest cosine that nominates."""

    def __init__(self, embedder: Embedder, floor: float, settings: Settings) -> None:
        self._embedding = Direct(From(embedder, floor))  # terms only ever raise an embedder's threshold
        self._workers = Workers(1)
        self._limits = settings.pixels_max, settings.evidence_bytes_max
        self._terms = Terms(Rung.NEAR, 0.0, lambda entry: None, guard_limit=settings.limit(Scrutiny.NORMAL))

    def looks(self, picture: Picture) -> Fingerprint:
        return Fingerprint((picture,), self._workers, self._embedding, *self._limits)

    async def stored(self, picture: Picture) -> tuple[Record, bytes]:
        """What the gateway would store of the picture: its record and its evidence (empty if it has no plain view).
        Raises NotCacheable."""
        looks = self.looks(picture)
        asked, pixels, embedded = _asked(looks), await looks.pixels(), await looks.embedded()
        entry = Entry(
            id=picture.digest,
            partition=asked.partition,
            exact=asked.exact,
            pixel=asked.pixel(pixels),
            dialect="",
            model="",
            created_s=0.0,
            expires_s=1.0,  # the clock stands at 0
            upstream_s=0.0,
            tokens_in=None,
            tokens_out=None,
            streamed=False,
            space=embedded.space if embedded else None,
            sizes=await looks.sizes(),
        )
        evidence = await looks.evidence()
        record = Record(entry, b"an answer", embedded.vectors if embedded else None, ())
        return record, evidence[0] if evidence else b""

    async def ask(self, shelf: Shelf, picture: Picture) -> Outcome:
        """What becomes of a request with this picture. The embedder and the store must be of one space."""
        verdicts: list[Verdict] = []

        async def work(compare: Callable[[], list[Verdict]]) -> list[Verdict]:
            verdicts.extend(found := compare())
            return found

        shelf.consulted.clear()
        looks = self.looks(picture)
        try:
            found = await climb(shelf, _asked(looks), looks, self._terms, work)
        except NotCacheable as refusal:
            return Refused(refusal.why)
        match found:
            case Exact(entry):
                return Hit("exact", entry.id)
            case Pixel(entry):
                return Hit("pixel", entry.id)
            case Near(entry, _, similarity, score):
                return Hit("near", entry.id, similarity, score)
            case Miss(doubt, similarity):
                if not verdicts:
                    return Refused(doubt, None, similarity)
                first = verdicts[0]
                spot = first.spot if isinstance(first, Different) else None  # the same, but for the limit in force
                return Refused(doubt, shelf.consulted[0], similarity, first.score, spot)
            case _:
                assert_never(found)


def _asked(looks: Fingerprint) -> Asked:
    return ask(_SCOPE, "what is in the picture?", looks.files)
