"""How often each method recognises a copy, and how often it takes another picture for it; what the guard costs.

    python -m benchmarks.fidelity [--images DIR] [--edits 2000] [--pictures 120] [--jobs 1] [--seed 7]
                                  [--embedder dct|clip] [--json FILE] [--worst DIR]

Everything is measured on one set, in one run: exact pixels, pHash, PDQ, the embedders' cosines, the guard alone (as
if every pair had been nominated) and the whole ladder (the product's own lookup). The same options give the same
verdicts; times depend on the machine, and only --jobs 1 on a quiet one gives times worth quoting.
Needs `pip install -e '.[bench]'`.
"""

import argparse
import json
import platform
import random
import sys
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image
from rich.console import Console
from rich.progress import Progress

from benchmarks.fidelity import figures, material, methods, report, workers
from benchmarks.fidelity.material import Material, drawn_name
from benchmarks.fidelity.methods import Kept
from benchmarks.fidelity.trials import DIRECT, HARD_WAYS, Copies, Crosses, Edits, Listed, Outcome, Trial, sent
from benchmarks.fidelity.workers import Crew
from embeddings import registry
from gateway.evaluate.bench import open_rgb
from gateway.pictures import Picture

_BLOCK = 40  # pictures whose views are held in memory at once
_WORST = 10


def main() -> None:
    options = _options()
    console = Console(width=None if sys.stdout.isatty() else 170)
    plan = Plan(material.read(options.images), options.pictures, options.edits, options.seed)
    machine = f"{platform.processor() or platform.machine()}, jobs {options.jobs}"
    console.print(f"seed {options.seed}, {machine}, OpenCV {cv2.__version__}, numpy {np.__version__}")
    files = len(plan.material.files())
    console.print(f"{files} real pictures, copies of {len(plan.copied)} real and drawn ones, {plan.edits} edits")
    with Progress(console=Console(stderr=True)) as progress:
        crew = Crew(options.jobs, plan.material, options.embedder, progress)
        kept = list(crew.each("preparing", workers.keep, plan.stored(), {}))
        stored = {picture.name: picture for picture in kept}
        outcomes = [one for part in crew.each("comparing", workers.attempt, plan.trials(), stored) for one in part]
    found = summary(outcomes, kept, plan.material, methods.names(workers.load(options.embedder)))
    show(console, found)
    if options.json:
        head = {"seed": options.seed, "pictures": len(plan.copied), "edits": plan.edits, "embedder": options.embedder}
        options.json.write_text(json.dumps(head | found, indent=1, default=_plain) + "\n", encoding="utf-8")
    if options.worst:
        again = partial(_again, plan.material)
        report.save_worst(options.worst, "wrong", figures.nearest_wrong(outcomes, _WORST), again)
        report.save_worst(options.worst, "missed", figures.missed_copies(outcomes, _WORST), again)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=Path, help="folder with manifest.csv, hard_pairs.csv, positive_pairs.csv")
    parser.add_argument("--edits", type=int, default=2000, help="drawn pictures with one edit each")
    parser.add_argument("--pictures", type=int, default=120, help="pictures that copies are made of; a quarter drawn")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--embedder", choices=tuple(registry.EMBEDDERS), default="dct", help="the one that nominates")
    parser.add_argument("--json", type=Path, help="file for all figures")
    parser.add_argument("--worst", type=Path, help="folder for pictures of the worst pairs")
    return parser.parse_args()


class Plan:
    """Which pictures are stored, and what is tried with them."""

    def __init__(self, material: Material, pictures: int, edits: int, seed: int) -> None:
        self.material, self.edits = material, edits
        self._first = seed * 1_000_000
        real = self._spread(pictures - pictures // 4, random.Random(seed))
        drawn = [drawn_name(self._first + 500_000 + i) for i in range(pictures - len(real))]
        self.copied = [*real, *drawn]

    def _spread(self, count: int, chance: random.Random) -> list[str]:
        """So many files, every category in turn."""
        left: dict[str, list[str]] = {}
        for file, category in self.material.categories.items():
            left.setdefault(category, []).append(file)
        for files in left.values():
            chance.shuffle(files)
        chosen: list[str] = []
        while len(chosen) < count and any(left.values()):
            chosen += [files.pop() for files in left.values() if files]
        return chosen[:count]

    def stored(self) -> list[str]:
        return list(dict.fromkeys((*self.material.files(), *self.copied)))

    def trials(self) -> list[Trial]:
        files = sorted(self.material.files())
        blocks = [tuple(files[at : at + _BLOCK]) for at in range(0, len(files), _BLOCK)]
        return [
            *(Copies(name) for name in self.copied),
            *(Listed("hard", pair.one, pair.other, HARD_WAYS) for pair in self.material.hard),
            *(Listed("positive", pair.one, pair.other, (DIRECT,)) for pair in self.material.positive),
            *(Crosses(one, other) for i, one in enumerate(blocks) for other in blocks[i:]),
            *(Edits(self._first + i) for i in range(self.edits)),
        ]


def _again(pictures: Material, one: Outcome) -> tuple[Image.Image, Image.Image]:
    """The two pictures of an outcome, made once more."""
    return pictures.load(one.stored), open_rgb(Picture.of(sent(pictures, one.asked, one.way)))


def summary(outcomes: list[Outcome], kept: list[Kept], pictures: Material, names: tuple[str, ...]) -> dict[str, Any]:
    """All figures, by table."""
    outcomes.sort(key=lambda one: (one.trial, one.stored, one.asked, one.way))  # whatever order they came in
    strange = figures.strange_answers(outcomes, pictures.are_kin)
    copies = sum(one.trial == "copy" for one in outcomes)
    by_group = {
        group: [len(one.evidence) / 1024 for one in kept if pictures.group(one.name) == group]
        for group in ("photo", "text")
    }
    return {
        "recall": {
            "photos": figures.recall(outcomes, names, "photo"),
            "text-heavy": figures.recall(outcomes, names, "text"),
            "all": figures.recall(outcomes, names, None) | figures.positives(outcomes, names),
        },
        "wrong": figures.wrong(outcomes, names),
        "copies answered from another picture": figures.Share(len(strange), copies),
        "strange": [report.caption(one) + f", served {one.served}" for one in strange],
        "edits": figures.edits(outcomes, names),
        "doubts": figures.doubts(outcomes),
        "compare_ms": figures.compare_times(outcomes),
        "prepare_ms": {
            "file to view": figures.spread([one.view_ms for one in kept]),
            "view to evidence": figures.spread([one.encode_ms for one in kept]),
        },
        "evidence_kb": {group: figures.spread(values) for group, values in by_group.items() if values},
        "nearest wrong": [report.caption(one) for one in figures.nearest_wrong(outcomes, _WORST)],
        "missed": [report.caption(one) for one in figures.missed_copies(outcomes, _WORST)],
    }


def show(console: Console, found: dict[str, Any]) -> None:
    for group, rows in found["recall"].items():
        report.recall_table(console, f"Recall on copies, {group}", rows)
    report.doubt_table(console, found["doubts"])
    report.wrong_table(console, "Wrong hits (upper bounds: one-sided, 95 %)", found["wrong"])
    report.wrong_table(console, "Wrong hits by edit", found["edits"])
    strange = found["copies answered from another picture"]
    console.print(f"copies answered from another picture: {strange.count} of {strange.of}, below {strange.upper:.2%}")
    for line in found["strange"]:
        console.print(f"  {line}")
    report.number_table(console, "Comparing", found["compare_ms"], "ms")
    report.number_table(console, "Preparing", found["prepare_ms"], "ms")
    report.number_table(console, "Evidence", found["evidence_kb"], "KB")
    for title in ("nearest wrong", "missed"):
        console.print(f"{title}:")
        for line in found[title]:
            console.print(f"  {line}", highlight=False)


def _plain(value: Any) -> Any:
    if isinstance(value, figures.Share):
        return value.as_json()
    raise TypeError(f"no JSON for {value!r}")


if __name__ == "__main__":
    main()
