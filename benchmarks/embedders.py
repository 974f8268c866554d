"""How well the embedders nominate, and what they cost.

    python -m benchmarks.embedders --images DIR [--seed 1] [--clip-pretrained FILE]

DIR holds pictures with `manifest.csv` (file, category, same_picture_group) and `hard_pairs.csv` (file_a,
file_b: look-alikes that differ). Each picture meets benign copies of itself (see `copies`; crops and
noise are drawn from the seed), and each meets every stranger: another picture of no common group or hard
pair. Printed: the share of copies at or above the threshold by transform, and the share of strangers and
of hard pairs that the guard would have to refuse. The share of hard pairs is no fault: nominating is
cheap, and only the guard can tell those apart.

CLIP is only timed, with random weights, unless --clip-pretrained names weights; then it is measured too.
"""

import argparse
import csv
import io
import os
import platform
import tempfile
import time
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageEnhance, ImageOps

from embeddings.base import RGB, Embedder, Vectors
from embeddings.clip import ClipEmbedder, ClipOptions
from embeddings.dct import DctEmbedder

SIDE_MAX = 1600  # what the gateway decodes to
Chance = np.random.Generator


def opened(path: Path) -> Image.Image:
    image = ImageOps.exif_transpose(Image.open(path)).convert("RGBA")
    return capped(Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB"), SIDE_MAX)


def scaled(image: Image.Image, factor: float, method: int = Image.Resampling.LANCZOS) -> Image.Image:
    size = (max(1, round(image.width * factor)), max(1, round(image.height * factor)))
    return image.resize(size, method)


def capped(image: Image.Image, side: int) -> Image.Image:
    return scaled(image, side / max(image.size)) if max(image.size) > side else image


def saved(image: Image.Image, form: str, quality: int) -> Image.Image:
    file = io.BytesIO()
    image.save(file, form, quality=quality)
    return Image.open(file).convert("RGB")


def cropped(image: Image.Image, most: float, chance: Chance) -> Image.Image:
    """Every side loses between half of `most` and `most` of the picture."""
    left, top, right, bottom = chance.uniform(most / 2, most, 4)
    box = (left * image.width, top * image.height, (1 - right) * image.width, (1 - bottom) * image.height)
    x0, y0, x1, y1 = map(round, box)
    return image.crop((x0, y0, max(x1, x0 + 1), max(y1, y0 + 1)))


def bordered(image: Image.Image, share: float, colour: str) -> Image.Image:
    return ImageOps.expand(image, max(1, round(share * max(image.size))), colour)


def curved(image: Image.Image, gamma: float) -> Image.Image:
    return image.point([round(255 * (level / 255) ** gamma) for level in range(256)] * 3)


def copies(image: Image.Image, chance: Chance) -> Iterator[tuple[str, Image.Image]]:
    """Benign transforms: the answer to any question stays the same."""
    for quality in (30, 50, 75, 95):
        yield f"jpeg {quality}", saved(image, "JPEG", quality)
    for quality in (50, 80):
        yield f"webp {quality}", saved(image, "WEBP", quality)
    for factor in (0.35, 0.5, 0.7, 1.5):
        yield f"resize {factor}", scaled(image, factor, Image.Resampling.BICUBIC)
    for share in (0.01, 0.02, 0.03, 0.05):
        yield f"crop {share:.0%}", cropped(image, share, chance)
    for share, colour in ((0.03, "white"), (0.05, "black"), (0.07, "grey"), (0.1, "white"), (0.1, "black")):
        yield f"border {share:.0%} {colour}", bordered(image, share, colour)
    for factor in (0.88, 1.12):
        yield f"brightness {factor}", ImageEnhance.Brightness(image).enhance(factor)
        yield f"contrast {factor}", ImageEnhance.Contrast(image).enhance(factor)
    for gamma in (0.85, 1.18):
        yield f"gamma {gamma}", curved(image, gamma)
    for factor in (0.8, 1.25):
        yield f"saturation {factor}", ImageEnhance.Color(image).enhance(factor)
    for side, quality in ((1280, 50), (960, 80), (800, 60)):
        yield f"chat {side} q{quality}", saved(capped(image, side), "JPEG", quality)
    yield "screenshot", scaled(image, chance.uniform(0.5, 1.25), Image.Resampling.BILINEAR)
    both = saved(capped(cropped(image, 0.03, chance), 900), "JPEG", 60)
    yield "crop 3% + tone + chat", ImageEnhance.Brightness(both).enhance(chance.uniform(0.9, 1.1))


def pixels(image: Image.Image) -> RGB:
    return np.asarray(capped(image, SIDE_MAX))


def measured(path: Path, seed: int, embedder: Embedder) -> tuple[Vectors, dict[str, float]]:
    """The picture's vector, and the cosine of each copy to it."""
    image = opened(path)
    original: Vectors = embedder.embed([pixels(image)])[0]
    chance = np.random.default_rng([seed, zlib.crc32(path.name.encode())])
    made = {name: embedder.embed([pixels(copy)])[0] for name, copy in copies(image, chance)}
    return original, {name: float(vector @ original) for name, vector in made.items()}


def strangers(rows: list[dict[str, str]], hard: list[tuple[int, int]]) -> NDArray[np.bool_]:
    """Which pairs of pictures have nothing to do with each other."""
    groups = [row["same_picture_group"] or f"alone {number}" for number, row in enumerate(rows)]
    apart = np.array([[one != other for other in groups] for one in groups])
    for one, other in hard:
        apart[one, other] = apart[other, one] = False
    return np.triu(apart, 1)


def quality(folder: Path, seed: int, embedder: Embedder, workers: int) -> None:
    rows = list(csv.DictReader((folder / "manifest.csv").open()))
    place = {row["file"]: number for number, row in enumerate(rows)}
    pairs = csv.DictReader((folder / "hard_pairs.csv").open())
    hard = [(place[pair["file_a"]], place[pair["file_b"]]) for pair in pairs]
    work = partial(measured, seed=seed, embedder=embedder)
    with ProcessPoolExecutor(workers) as pool:
        results = list(pool.map(work, [folder / row["file"] for row in rows], chunksize=4))

    by_transform: dict[str, list[float]] = defaultdict(list)
    for _, cosines in results:
        for name, cosine in cosines.items():
            by_transform[name].append(cosine)
    vectors = np.stack([vector for vector, _ in results])
    table = vectors @ vectors.T
    apart = table[strangers(rows, hard)]
    alike = np.array([table[pair] for pair in hard])
    every = np.concatenate([np.array(values) for values in by_transform.values()])

    print(f"\n{embedder.space.name}: {len(rows)} pictures, {len(every)} copies, {len(apart)} stranger pairs")
    print(f"strangers' cosine: mean {apart.mean():.3f}, deviation {apart.std():.3f}, largest {apart.max():.3f}")
    print("\n| threshold | recall | strangers nominated | hard pairs nominated |\n|---|---|---|---|")
    for threshold in sorted({embedder.threshold, 0.5, 0.6, 0.7, 0.75, 0.8, 0.9}):
        shares = [float(np.mean(values >= threshold)) for values in (every, apart, alike)]
        mark = " (default)" if threshold == embedder.threshold else ""
        print(f"| {threshold}{mark} | {shares[0]:.4f} | {shares[1]:.5f} | {shares[2]:.2f} |")
    print("\n| transform | recall | 1st percentile of the cosine |\n|---|---|---|")
    for name, values in by_transform.items():
        recall = np.mean(np.array(values) >= embedder.threshold)
        print(f"| {name} | {recall:.3f} | {np.quantile(values, 0.01):.3f} |")


def timed(work: Callable[[], object], rounds: int) -> str:
    work()
    times = []
    for _ in range(rounds):
        began = time.perf_counter()
        work()
        times.append(1000 * (time.perf_counter() - began))
    return f"median {np.median(times):.1f} ms, 95th percentile {np.quantile(times, 0.95):.1f} ms"


def cost(folder: Path, embedder: Embedder, rounds: int) -> None:
    names = sorted(row["file"] for row in csv.DictReader((folder / "manifest.csv").open()))[::40]
    megapixels = []
    for name in names:
        image = opened(folder / name)
        megapixels.append(pixels(scaled(image, (1e6 / image.width / image.height) ** 0.5)))
    times = [timed(partial(embedder.embed, [picture]), rounds) for picture in megapixels]
    medians = sorted(times, key=lambda words: float(words.split()[1]))
    print(f"\n{embedder.space.name}, one 1 MP picture ({len(names)} pictures): {medians[len(medians) // 2]}")
    batch = (megapixels * 16)[:16]
    print(f"{embedder.space.name}, a batch of 16: {timed(partial(embedder.embed, batch), max(2, rounds // 5))}")


def random_clip(folder: Path) -> ClipEmbedder:
    """ViT-B-32 with seeded random weights: costs what the real one costs, means nothing."""
    import open_clip
    import torch

    torch.manual_seed(0)
    weights = folder / "random.pt"
    torch.save(open_clip.create_model("ViT-B-32").state_dict(), weights)
    return ClipEmbedder(ClipOptions(pretrained=str(weights)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--clip-pretrained", default="")
    options = parser.parse_args()
    threads = os.environ.get("OMP_NUM_THREADS", "unset")
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} CPUs, OMP_NUM_THREADS {threads}")
    print(f"seed {options.seed} (--seed {options.seed} gives these figures again)")

    dct = DctEmbedder()
    quality(options.images, options.seed, dct, options.workers)
    cost(options.images, dct, options.rounds)
    with tempfile.TemporaryDirectory() as scratch:
        if options.clip_pretrained:
            clip = ClipEmbedder(ClipOptions(pretrained=options.clip_pretrained))
            quality(options.images, options.seed, clip, workers=1)
        else:
            clip = random_clip(Path(scratch))
    cost(options.images, clip, options.rounds)


if __name__ == "__main__":
    main()
