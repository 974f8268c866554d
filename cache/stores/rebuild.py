"""From rows to index and vectors when a store opens, and the comparison of all of them for `check`.

Whatever is found damaged here is set aside and the store opens without it: a bad row costs one answer,
never the cache. Runs in the worker thread that owns the rows.
"""

import logging
from collections import defaultdict
from dataclasses import dataclass

from cache.entry import Vectors
from cache.errors import CorruptRow
from cache.stores.apart import Apart, Pair
from cache.stores.coding import APART, Head
from cache.stores.directory import Directory
from cache.stores.disk import CORRUPT, KINDS, Rows
from cache.stores.index import Held, Index
from cache.stores.vectors import Group, VectorIndex, group_of

log = logging.getLogger(__name__)

Listing = list[tuple[int, str | None]]  # row numbers and keys; None for a key that is none of ours


@dataclass(slots=True)
class Rebuilt:
    """The state of a store that has just been opened."""

    index: Index
    vectors: VectorIndex
    apart: Apart
    numbers: int  # given to vectors so far
    uses: int  # counted so far
    set_aside: int  # entries
    expired: int
    evicted: int


def load(directory: Directory, now_s: float, bytes_max: int, keeps_looks: bool) -> tuple[Rows, Rebuilt]:
    """The rows of a directory, opened, and what they hold."""
    rows = Rows(directory.rows)
    try:
        directory.keep_looks(keeps_looks, rows.erase_looks)
        return rows, rebuild(rows, now_s, bytes_max)
    except BaseException:
        rows.close()
        raise


def rebuild(rows: Rows, now_s: float, bytes_max: int) -> Rebuilt:
    listing = rows.listing()
    heads, wrong, set_aside = _sound(rows, listing)
    pairs, wrong_pairs = _pairs(rows)
    wrong += wrong_pairs
    index, grouped = Index(), defaultdict[Group, list[tuple[int, Vectors]]](list)
    gone: list[str] = []
    used: dict[str, int] = {}
    for number, (use, head) in enumerate(heads):  # in the order put, which is what `Index.pixel` needs
        entry = head.entry
        if not entry.fresh(now_s):
            gone.append(entry.id)
            continue
        index.add(held_of(head, number))
        used[entry.id] = use
        if head.vectors is not None and entry.space is not None:
            group = group_of(entry.partition, entry.space, head.vectors)
            grouped[group].append((number, head.vectors))
    expired = len(gone)
    for entry_id in sorted(used, key=used.__getitem__):
        index.use(entry_id)
    surplus = index.surplus(bytes_max, None, ())  # the budget may be smaller than it was
    dropped = {held.number for entry_id in surplus if (held := index.drop(entry_id)) is not None}
    vectors = VectorIndex()
    for group, members in grouped.items():
        kept = [member for member in members if member[0] not in dropped]
        if kept:
            vectors.add(group, [number for number, _ in kept], [rows for _, rows in kept])
    if gone or surplus or wrong:
        rows.clean([*gone, *surplus], wrong)
    return Rebuilt(
        index, vectors, Apart(pairs), len(heads), max(used.values(), default=0), set_aside, expired, len(surplus)
    )


def held_of(head: Head, number: int) -> Held:
    entry, vectors = head.entry, head.vectors
    group = None
    if vectors is not None and entry.space is not None:
        group = group_of(entry.partition, entry.space, vectors)
    return Held(entry, number, head.weight, head.evidence, group)


def _pairs(rows: Rows) -> tuple[list[Pair], Listing]:
    """The pairs that never answer each other, and the rows that should be some and are not."""
    found = list(rows.pairs())
    wrong = [(number, key) for number, key, pair in found if pair is None]
    for number, _ in wrong:
        log.warning("the pair in row %d is damaged: set aside", number)
    return [pair for _, _, pair in found if pair is not None], wrong


def _sound(rows: Rows, listing: Listing) -> tuple[list[tuple[int, Head]], Listing, int]:
    """The (last use, head) of every entry that is whole; the rows that belong to none; how many entries that cost."""
    places: dict[str, int] = {}
    wrong: Listing = []
    for number, key in listing:
        kind = "" if key is None else key.split("/", 1)[0]
        if key is not None and kind in KINDS:
            places[key] = number
        elif kind not in (APART, CORRUPT):
            wrong.append((number, key))
    sound: dict[str, tuple[int, Head]] = {}  # by exact key: should two heads share one, the later stands
    whole: set[str] = set()
    broken: set[str] = set()
    for _, entry_id, use, head in rows.heads():
        if head is None or f"reply/{entry_id}" not in places:
            broken.add(entry_id)
        elif bool(head.evidence) != (f"evidence/{entry_id}" in places):
            broken.add(entry_id)
        else:
            before = sound.pop(head.entry.exact, None)
            if before is not None:
                whole.discard(before[1].entry.id)
                broken.add(before[1].entry.id)
            sound[head.entry.exact] = (use, head)
            whole.add(entry_id)
    wrong += [(number, key) for key, number in places.items() if key.split("/", 1)[1] not in whole]
    for number, row_key in wrong:
        log.warning("row %d (%s) is damaged or belongs to nothing: set aside", number, row_key)
    return list(sound.values()), wrong, len(broken)


def audit(rows: Rows, held: dict[str, Held], numbers: list[int], pairs: int) -> list[str]:
    """Every way in which rows, `held` (entry id -> what the index says), the vectors' numbers and the number of pairs
    that never answer each other disagree."""
    wrong = rows.complaints()
    kinds = {held_id: held_entry.evidence for held_id, held_entry in held.items()}
    expected = {f"{kind}/{one}" for kind in ("head", "reply") for one in kinds}
    expected |= {f"evidence/{one}" for one, pieces in kinds.items() if pieces}
    listing = rows.listing()
    if pairs != (there := len(_pairs(rows)[0])):
        wrong.append(f"{there} pairs that never answer each other are stored, and {pairs} are known")
    found = {key for _, key in listing if key is None or not key.startswith((f"{APART}/", f"{CORRUPT}/"))}
    wrong += [f"{key} is missing" for key in sorted(expected - found)]
    wrong += [f"{key} belongs to no entry" for key in sorted(map(str, found - expected))]
    for one in held.values():
        wrong += _audit_entry(rows, one)
    vectors = sorted(one.number for one in held.values() if one.group is not None)
    if sorted(numbers) != vectors:
        wrong.append(f"{len(numbers)} vectors are held for {len(vectors)} entries that have them, or for others")
    return wrong


def _audit_entry(rows: Rows, held: Held) -> list[str]:
    entry_id = held.entry.id
    try:
        head, reply, evidence = rows.head(entry_id), rows.reply(entry_id), rows.evidence(entry_id)
    except CorruptRow as error:
        return [f"a row of {entry_id} is corrupt: {error}"]
    if head is None or reply is None:
        return []  # reported as missing
    wrong = []
    if held_of(head, held.number).entry != held.entry:
        wrong.append(f"head/{entry_id} says something else than the index")
    if len(evidence or ()) != held.evidence:
        wrong.append(f"{entry_id} has {len(evidence or ())} pieces of evidence, not {held.evidence}")
    weight = head.packed_bytes + len(reply) + sum(map(len, evidence or ()))
    if weight != held.weight or head.weight != held.weight:
        wrong.append(f"{entry_id} weighs {weight} bytes, but counts for {held.weight}")
    return wrong
