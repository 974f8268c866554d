"""How often the guard is wrong, how much it recognises, what it costs. Prints a table; changes nothing.

    python benchmarks/guard.py --images DIR [--pictures 80] [--edits 300] [--seed 7]

DIR holds pictures and `manifest.csv` (file, category), `hard_pairs.csv` and `positive_pairs.csv` (file_a, file_b,
why). Every figure is for evidence that went through `encode` and `decode`, as in the product. One core.
"""

import argparse
import csv
import io
import random
import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter, ImageFont, ImageOps

from cache import guard
from cache.verdict import Same, Verdict

Transform = Callable[[Image.Image], Image.Image]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("--pictures", type=int, default=80, help="pictures that benign copies are made of")
    parser.add_argument("--crosses", type=int, default=400, help="pairs of two pictures of one category")
    parser.add_argument("--edits", type=int, default=300, help="drawn documents with one small edit")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--wrong", type=Path, help="folder to save wrongly accepted pairs in, side by side")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    print(f"seed {options.seed}, OpenCV {cv2.__version__}, numpy {np.__version__}, one thread")
    bench = Bench(options.images, random.Random(options.seed), options.wrong)
    bench.hard_pairs()
    bench.cross_pairs(options.crosses)
    bench.drawn_edits(options.edits)
    bench.positive_pairs()
    bench.benign(options.pictures)
    bench.timing()


class Bench:
    def __init__(self, folder: Path, chance: random.Random, wrong: Path | None) -> None:
        self.folder, self.chance, self.wrong = folder, chance, wrong
        self.rows = list(csv.DictReader((folder / "manifest.csv").open(encoding="utf-8")))
        self.seconds: dict[str, list[float]] = defaultdict(list)
        self.evidence: dict[str, list[int]] = defaultdict(list)
        self.encoding: list[float] = []

    def hard_pairs(self) -> None:
        pairs = [row for row in self._pairs("hard_pairs.csv") if not row["why"].startswith("[cosmetic]")]
        asked = {"direct": plain, "JPEG 60": jpeg(60), "chat app": chat(1280, 60)}
        wrong: dict[str, list[str]] = {name: [] for name in asked}
        for row in pairs:
            for one, two in ((row["file_a"], row["file_b"]), (row["file_b"], row["file_a"])):
                stored = self._stored(self._open(one))
                for name, change in asked.items():
                    picture = change(self._open(two))
                    if self._is_same(stored, picture):
                        wrong[name].append(f"{one} {two} {row['why'][:60]}")
                        self._keep(f"hard-{one}-{two}-{name}", stored, picture)
        for name, pairs_wrong in wrong.items():
            print(f"wrong hits, hard pairs, {name}: {len(pairs_wrong)} of {2 * len(pairs)}")
            for line in pairs_wrong:
                print(f"    {line}")

    def cross_pairs(self, count: int) -> None:
        groups: dict[str, list[dict[str, str]]] = defaultdict(list)
        for row in self.rows:
            groups[row["category"]].append(row)
        known = {frozenset((r["file_a"], r["file_b"])) for r in self._pairs("positive_pairs.csv")}
        known |= {frozenset((r["file_a"], r["file_b"])) for r in self._pairs("hard_pairs.csv")}
        wrong, tried = 0, 0
        while tried < count:
            group = self.chance.choice([g for g in groups.values() if len(g) > 1])
            one, two = self.chance.sample(group, 2)
            group_name = one["same_picture_group"]
            if frozenset((one["file"], two["file"])) in known or (
                group_name and group_name == two["same_picture_group"]
            ):
                continue
            tried += 1
            stored, picture = self._stored(self._open(one["file"])), self._open(two["file"])
            if self._is_same(stored, picture, "cross"):
                wrong += 1
                print(f"    {one['file']} {two['file']}")
                self._keep(f"cross-{one['file']}-{two['file']}", stored, picture)
        print(f"wrong hits, cross pairs: {wrong} of {tried}")

    def drawn_edits(self, count: int) -> None:
        ways = {
            "direct": plain, "JPEG 75": jpeg(75), "JPEG 50": jpeg(50), "WebP 60": webp(60),
            "x 0.75": resize(0.75), "x 0.5": resize(0.5), "chat app": chat(1280, 60), "chat 800": chat(800, 50),
        }  # fmt: skip
        wrong: dict[str, int] = dict.fromkeys(ways, 0)
        right: dict[str, int] = dict.fromkeys(ways, 0)
        for number in range(count):
            before, after, edit = drawn_pair(self.chance)
            stored = self._stored(before)
            for name, change in ways.items():
                picture = change(after)
                if self._is_same(stored, picture, "edit"):
                    wrong[name] += 1
                    print(f"    edit {number} {edit} accepted after {name}")
                    self._keep(f"edit-{number}-{name}", stored, picture)
                if number % 5 == 0:
                    right[name] += self._is_same(stored, change(before), "copy")
        copies = (count + 4) // 5
        for name in ways:
            print(f"drawn, {name}: {wrong[name]} of {count} edits accepted, recall {right[name] / copies:.2f}")

    def positive_pairs(self) -> None:
        policy = ("[geometry]", "[colour]")
        pairs = [row for row in self._pairs("positive_pairs.csv") if not row["why"].startswith(policy)]
        found = 0
        for row in pairs:
            views = [guard.view_of(np.asarray(p), p.size) for p in map(self._open, (row["file_a"], row["file_b"]))]
            verdicts = [guard.compare(*views), guard.compare(*views[::-1])]
            same = any(isinstance(verdict, Same) for verdict in verdicts)
            found += same
            if not same:
                print(f"    missed {row['file_a']} {row['file_b']} {row['why'][:50]} {verdicts}")
        print(f"recall, positive pairs, in at least one direction: {found} of {len(pairs)}")

    def benign(self, count: int) -> None:
        rows = self.chance.sample(self.rows, min(count, len(self.rows)))
        counts: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
        for row in rows:
            picture = self._open(row["file"])
            stored = self._stored(picture)
            for name, change in BENIGN.items():
                verdict = self._verdict(stored, change(picture), "copy")
                counts[name]["same" if isinstance(verdict, Same) else str(verdict.doubt)] += 1
        for name, by in counts.items():
            doubts = ", ".join(f"{n} {doubt}" for doubt, n in sorted(by.items()) if doubt != "same")
            print(f"recall, {name}: {by['same'] / len(rows):.2f}   {doubts}")

    def timing(self) -> None:
        for name, seconds in self.seconds.items():
            cuts = statistics.quantiles(seconds, n=20)
            print(f"compare, {name}: p50 {cuts[9] * 1e3:.0f} ms, p95 {cuts[18] * 1e3:.0f} ms, n {len(seconds)}")
        for name, sizes in self.evidence.items():
            print(f"evidence, {name}: median {statistics.median(sizes) / 1e3:.0f} KB, n {len(sizes)}")
        cuts = statistics.quantiles(self.encoding, n=20)
        print(f"encode: p50 {cuts[9] * 1e3:.0f} ms, p95 {cuts[18] * 1e3:.0f} ms")

    def _stored(self, picture: Image.Image) -> guard.View:
        view = guard.view_of(np.asarray(picture), picture.size)
        start = time.perf_counter()
        data = guard.encode(view)
        self.encoding.append(time.perf_counter() - start)
        if max(picture.size) >= 900:  # small pictures say nothing about the budget
            kind = "1000 px and more, kept whole" if len(data) and _kept_whole(data, view) else "photos over 1024 px"
            self.evidence[kind].append(len(data))
        return guard.decode(data)

    def _is_same(self, stored: guard.View, picture: Image.Image, kind: str = "hard") -> bool:
        return isinstance(self._verdict(stored, picture, kind), Same)

    def _verdict(self, stored: guard.View, picture: Image.Image, kind: str) -> Verdict:
        asked = guard.view_of(np.asarray(picture), picture.size)
        start = time.perf_counter()
        verdict = guard.compare(stored, asked)
        took = time.perf_counter() - start
        self.seconds[f"{kind}, {'same' if isinstance(verdict, Same) else 'refused'}"].append(took)
        if min(picture.size) > 700 and isinstance(verdict, Same):
            self.seconds["same, about 1 MP and more"].append(took)
        return verdict

    def _keep(self, name: str, stored: guard.View, picture: Image.Image) -> None:
        if self.wrong:
            self.wrong.mkdir(parents=True, exist_ok=True)
            both = Image.new("RGB", (stored.rgb.shape[1] + picture.width, max(stored.rgb.shape[0], picture.height)))
            both.paste(Image.fromarray(stored.rgb), (0, 0))
            both.paste(picture, (stored.rgb.shape[1], 0))
            both.save(self.wrong / (name.replace("/", "_").replace(" ", "_") + ".png"))

    def _open(self, name: str) -> Image.Image:
        picture = ImageOps.exif_transpose(Image.open(self.folder / name))
        if picture.has_transparency_data:
            picture = picture.convert("RGBA")
            picture = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture)
        return picture.convert("RGB")

    def _pairs(self, name: str) -> Iterator[dict[str, str]]:
        with (self.folder / name).open(encoding="utf-8") as lines:
            yield from csv.DictReader(lines)


def _kept_whole(data: bytes, view: guard.View) -> bool:
    return guard.decode(data).rgb.shape == view.rgb.shape


def plain(picture: Image.Image) -> Image.Image:
    return picture


def jpeg(quality: int) -> Transform:
    return lambda picture: _through(picture, "JPEG", quality)


def webp(quality: int) -> Transform:
    return lambda picture: _through(picture, "WEBP", quality)


def _through(picture: Image.Image, kind: str, quality: int) -> Image.Image:
    file = io.BytesIO()
    picture.save(file, kind, quality=quality)
    return Image.open(file).convert("RGB")


def resize(factor: float, resample: Image.Resampling = Image.Resampling.LANCZOS) -> Transform:
    return lambda picture: picture.resize(tuple(max(1, round(side * factor)) for side in picture.size), resample)


def chat(side_max: int, quality: int) -> Transform:
    """What a chat app does to a picture: shrink it if it is large, compress it."""

    def send(picture: Image.Image) -> Image.Image:
        large = max(picture.size) > side_max
        return _through(ImageOps.contain(picture, (side_max, side_max)) if large else picture, "JPEG", quality)

    return send


def crop(share: float) -> Transform:
    def cut(picture: Image.Image) -> Image.Image:
        width, height = picture.size
        return picture.crop((round(width * share), round(height * share / 2), width, round(height * (1 - share))))

    return cut


def noise(sigma: float) -> Transform:
    def add(picture: Image.Image) -> Image.Image:
        levels = np.asarray(picture, np.float32)
        spread = np.random.default_rng(3).normal(0, sigma, levels.shape)
        return Image.fromarray(np.clip(levels + spread, 0, 255).astype(np.uint8))

    return add


BENIGN: dict[str, Transform] = {
    "JPEG 95": jpeg(95),
    "JPEG 85": jpeg(85),
    "JPEG 75": jpeg(75),
    "JPEG 50": jpeg(50),
    "WebP 80": webp(80),
    "WebP 60": webp(60),
    "x 1.4": resize(1.4),
    "x 0.8 bilinear": resize(0.8, Image.Resampling.BILINEAR),
    "x 0.6": resize(0.6),
    "x 0.6, JPEG 80": lambda picture: jpeg(80)(resize(0.6)(picture)),
    "chat app 1280": chat(1280, 65),
    "chat app 800": chat(800, 60),
    "crop 3 %": crop(0.03),
    "border 5 %": lambda picture: ImageOps.expand(picture, round(max(picture.size) * 0.05), "black"),
    "brightness 1.1": lambda picture: ImageEnhance.Brightness(picture).enhance(1.1),
    "brightness 0.9": lambda picture: ImageEnhance.Brightness(picture).enhance(0.9),
    "contrast 1.1": lambda picture: ImageEnhance.Contrast(picture).enhance(1.1),
    "saturation 1.15": lambda picture: ImageEnhance.Color(picture).enhance(1.15),
    "blur 0.6": lambda picture: picture.filter(ImageFilter.GaussianBlur(0.6)),
    "noise 3": noise(3.0),
}


def drawn_pair(chance: random.Random) -> tuple[Image.Image, Image.Image, str]:
    """A drawn page, the same page with one small edit, and what the edit was."""
    width, height = chance.choice(((700, 900), (900, 700), (1080, 1500), (1240, 1754), (600, 1000), (1600, 1000)))
    size = chance.randint(11, 26)
    ground = chance.choice(((255, 255, 255), (250, 247, 240), (24, 26, 32), (235, 240, 250)))
    light = sum(ground) > 380
    ink = tuple(chance.randint(0, 90) if light else chance.randint(180, 255) for _ in range(3))
    font = ImageFont.load_default(size)
    rows = [
        (
            chance.choice(_WORDS),
            f"{chance.randint(1, 9999)}.{chance.randint(0, 99):02d}",
            chance.choice(_WORDS),
        )
        for _ in range(int((height - 60) / (size * 1.8)))
    ]
    line = chance.randrange(len(rows))
    number = rows[line][1]
    edit, changed = chance.choice(list(_edits(number, chance)))
    edited = [*rows[:line], (rows[line][0], changed, rows[line][2]), *rows[line + 1 :]]

    def page(lines: list[tuple[str, str, str]]) -> Image.Image:
        picture = Image.new("RGB", (width, height), ground)
        draw = ImageDraw.Draw(picture)
        for i, cells in enumerate(lines):
            y = 30 + i * size * 1.8
            for x, text in zip((0.05, 0.4, 0.7), cells, strict=True):
                draw.text((width * x, y), text, font=font, fill=ink)
        return picture

    return page(rows), page(edited), f"{number} -> {changed} ({edit}, {size} px, {width}x{height})"


_WORDS = (
    "Total",
    "Milk 2 l",
    "Invoice",
    "Tax 7 %",
    "Apples",
    "Balance",
    "Ref A-17",
    "Paid",
    "Due 3/4",
    "Room 12",
)


def _edits(number: str, chance: random.Random) -> Iterator[tuple[str, str]]:
    spots = [i for i, sign in enumerate(number) if sign.isdigit()]
    spot = chance.choice(spots)
    other = chance.choice([d for d in "0123456789" if d != number[spot]])
    yield "digit", number[:spot] + other + number[spot + 1 :]
    for one, two in (("8", "3"), ("6", "8"), ("0", "8"), ("1", "7"), ("5", "6"), ("9", "8")):
        if one in number:
            yield "near digit", number.replace(one, two, 1)
    whole, cents = number.split(".")
    yield "minus", "-" + number
    yield "comma", f"{whole},{cents}"
    if len(whole) > 1:
        yield "point moved", f"{whole[:-1]}.{whole[-1]}{cents}"
    yield "point lost", f"{whole} {cents}"


if __name__ == "__main__":
    main()
