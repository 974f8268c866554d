"""What the stores cost. Prints one table; run it as

    OMP_NUM_THREADS=1 python -m benchmarks.store [--large] [--directory DIR]

Seeded random vectors of 512 numbers in clusters, replies of 2 kB, evidence of 8 kB. --large adds 100,000 entries.
"""

import argparse
import asyncio
import platform
import resource
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import faiss
import numpy as np

from cache.entry import Entry, Record, Vectors
from cache.stores.embedded import EmbeddedStore
from cache.stores.vectors import Group, VectorIndex, one_thread_each

SEED = 1
DIM = 512
BUDGET = 100 * 2**30


def clustered(count: int, clusters: int, cone: float = 1.0) -> Vectors:
    """Unit rows around random centres, all within a cone, as CLIP's are."""
    chance = np.random.default_rng(SEED)
    centres = cone * noise(chance, 1) + noise(chance, clusters)
    rows = centres[chance.integers(clusters, size=count)] + 0.7 * noise(chance, count)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def noise(chance: np.random.Generator, count: int) -> Vectors:
    return chance.standard_normal((count, DIM), dtype=np.float32) / np.float32(DIM**0.5)


def near(rows: Vectors) -> Vectors:
    """A near-duplicate of each: cosine 0.97."""
    moved = rows + 0.25 * noise(np.random.default_rng(SEED + 1), len(rows))
    return moved / np.linalg.norm(moved, axis=1, keepdims=True)


def record(name: str, vector: Vectors, partition: str) -> Record:
    # No two rows alike, and as long as the real ones: digests are 64 letters.
    digest = f"{name:>064}"
    sizes = ((1024, 768),)
    entry = Entry(
        name,
        f"{partition:>064}",
        digest,
        digest,
        "openai-chat",
        "qwen3-vl-8b",
        0.0,
        1e12,
        1.0,
        1,
        1,
        False,
        "clip",
        sizes,
    )
    return Record(entry, name.encode() * (2_000 // len(name)), vector[None], (name.encode() * (8_000 // len(name)),))


def row(what: str, values: list[float]) -> None:
    median, high = np.percentile(values, [50, 99])
    print(f"| {what:<54} | {median * 1e6:>10,.1f} | {high * 1e6:>10,.1f} | {len(values):>7,} |", flush=True)


async def timed(doing: Callable[[int], Awaitable[object]], times: int) -> list[float]:
    taken = []
    for count in range(times):
        start = time.perf_counter()
        assert await doing(count) is not False
        taken.append(time.perf_counter() - start)
    return taken


async def store_of(directory: Path, entries: int) -> None:
    """10 entries under one question, 1,000 under another, the rest under a third."""
    rows = clustered(entries, max(1, entries // 40))
    partitions = ["ten"] * 10 + ["thousand"] * 1_000 + ["rest"] * (entries - 1_010)
    store = EmbeddedStore.open(directory, time.time, BUDGET)
    puts = []
    for count, (vector, partition) in enumerate(zip(rows, partitions, strict=True)):
        start = time.perf_counter()
        await store.put(record(str(count), vector, partition))
        puts.append(time.perf_counter() - start)
    row(f"put ({entries:,} entries)", puts)
    await store.close()

    start = time.perf_counter()
    store = EmbeddedStore.open(directory, time.time, BUDGET)
    row(f"open ({entries:,} entries)", [time.perf_counter() - start])

    async def hit(count: int) -> bool:
        entry = await store.exact(f"{count:>064}")
        return entry is not None and await store.reply(entry.id) is not None

    row("exact and reply, cold (from disk)", await timed(hit, 2_000))
    row("exact and reply, hot", await timed(hit, 2_000))
    row("exact alone", await timed(lambda count: store.exact(f"{count:>064}"), 2_000))
    row("evidence", await timed(lambda count: store.evidence(str(count)), 1_000))
    asked = near(rows)
    for partition, first in (("ten", 0), ("thousand", 10), ("rest", 1_010)):
        size = partitions.count(partition)

        async def search(count: int, place: str = f"{partition:>064}", first: int = first, size: int = size) -> bool:
            number = first + count % size
            found = await store.nearest(place, "clip", asked[number][None], 0.9, 5)
            return bool(found) and found[0].entry.id == str(number)

        row(f"nearest among {size:,}", await timed(search, 500))
    start = time.perf_counter()
    assert await store.check() == []
    row("check (reads every row)", [time.perf_counter() - start])
    await store.close()
    print(f"  {disk_bytes(directory) / entries:,.0f} bytes on disk per entry; peak memory so far {peak():,.0f} MB")


def vectors() -> None:
    """Lists against the flat search."""
    one_thread_each()
    group = Group("question", "clip", 1, DIM)
    for clusters, cone in ((500, 0.0), (500, 1.0), (20_000, 1.0)):
        rows = clustered(50_000, clusters, cone)
        lists, flat = VectorIndex(), VectorIndex(flat_max=len(rows))
        start = time.perf_counter()
        lists.add(group, range(len(rows)), list(rows[:, None]))
        built = time.perf_counter() - start
        flat.add(group, range(len(rows)), list(rows[:, None]))
        recall(f"50,000 in {clusters:,} clusters, cone {cone:g}", rows, lists, flat, group)
        print(f"  lists trained and filled in {built:.2f} s")


def tiny_shelves() -> None:
    """Many questions with one answer each. Comes first: later, freed memory would be used again and not be counted."""
    rows = clustered(20_000, 500)[:, None]
    shelves = VectorIndex()
    before, start = memory(), time.perf_counter()
    for number in range(20_000):
        shelves.add(Group(str(number), "clip", 1, DIM), [number], [rows[number]])
    taken = time.perf_counter() - start
    print(f"20,000 shelves of one vector: {(memory() - before) / 20_000:,.0f} bytes and {taken / 0.02:.1f} us each\n")


def recall(title: str, rows: Vectors, lists: VectorIndex, flat: VectorIndex, group: Group) -> None:
    chosen = np.random.default_rng(SEED).integers(len(rows), size=300)
    times: dict[str, list[float]] = {"flat": [], "lists": []}
    shared = first = 0
    for number, asked in zip(chosen, near(rows[chosen]), strict=True):
        found = []
        for name, index in (("flat", flat), ("lists", lists)):
            start = time.perf_counter()
            found.append([one.number for one in index.search(group, asked[None], 5)])
            times[name].append(time.perf_counter() - start)
        shared += len(set(found[0]) & set(found[1]))
        first += found[1][0] == number
    for name, taken in times.items():
        row(f"search {title}: {name}", taken)
    print(
        f"  recall@5 of lists {shared / (5 * len(chosen)):.3f}, near-duplicate itself first {first / len(chosen):.3f}"
    )


def disk_bytes(directory: Path) -> int:
    return sum(path.stat().st_size for path in directory.rglob("*") if path.is_file())


def peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def memory() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def sizes(large: bool) -> Iterator[int]:
    yield 20_000
    if large:
        yield 101_010


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--large", action="store_true", help="also 100,000 entries under one question")
    parser.add_argument("--directory", type=Path, help="where the stores are made (default: a temporary directory)")
    given = parser.parse_args()
    print(f"Python {platform.python_version()}, faiss {faiss.__version__}, {platform.machine()}, seed {SEED}\n")
    tiny_shelves()
    print(f"| {'':<54} | {'median us':>10} | {'99 % us':>10} | {'times':>7} |")
    print(f"|{'-' * 56}|{'-' * 11}:|{'-' * 11}:|{'-' * 8}:|")
    for entries in sizes(given.large):
        with tempfile.TemporaryDirectory(dir=given.directory) as directory:
            asyncio.run(store_of(Path(directory) / "store", entries))
    vectors()


if __name__ == "__main__":
    main()
