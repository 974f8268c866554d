"""What a lookup nominates and below: every candidate down to a floor of one's own, each with the guard's verdict.

Nothing is served from here. In shadow mode it tells what another threshold would have done, and what the guard
refused. The order and the number of candidates are the ladder's, so that at any threshold at or above `floor` the
first accepted candidate is the one that the ladder would have served.
"""

from dataclasses import dataclass

from cache.entry import Entry
from cache.keys import Asked
from cache.lookup import Found, Looks, Miss, Near, Terms, Work, nominate, weigh
from cache.stores.base import Store
from cache.verdict import Doubt, Verdict

# Cosine below the threshold in force. Enough to see whether a lower one would pay; further down are strangers,
# each of which costs a comparison.
MARGIN = 0.10


@dataclass(frozen=True, slots=True)
class Weighed:
    """A candidate, and whether it is the same picture as the one asked about. `Different` also where the entry may
    not be served to this caller."""

    entry: Entry
    similarity: float  # lowest cosine over the pictures
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Survey:
    """The embedding space in which was looked, its threshold, and what was found, nearest first."""

    space: str
    threshold: float
    weighed: tuple[Weighed, ...]


async def survey(store: Store, asked: Asked, looks: Looks, found: Found, terms: Terms, work: Work) -> Survey | None:
    """The candidates of a lookup that found `found` under `terms`. None where it never came to compare vectors."""
    if not _compared_vectors(found) or (embedded := await looks.embedded()) is None:
        return None
    # What this request demands holds at any threshold of the embedder.
    candidates = await nominate(store, asked, embedded, max(0.0, terms.floor, embedded.threshold - MARGIN), terms)
    weighed = [
        Weighed(one.entry, one.similarity, await weigh(store, one.entry, asked, looks, terms, work))
        for one in candidates
    ]
    return Survey(embedded.space, embedded.threshold, tuple(weighed))


def _compared_vectors(found: Found) -> bool:
    match found:
        case Near():
            return True
        case Miss(doubt, similarity):
            return similarity is not None or doubt is Doubt.NEW_PICTURE
        case _:
            return False
