"""`lookalike compare` and `lookalike evaluate` from flags to exit status."""

import json
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import cv2
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from cache import guard
from embeddings.base import EmbedderUnavailable, Loaded
from gateway import heat as heating
from gateway.config import Settings
from gateway.evaluate import report as reporting
from gateway.evaluate.bench import Setup
from gateway.evaluate.compare import Comparison, compare, load
from gateway.evaluate.errors import BadInput
from gateway.evaluate.exhibit import Exhibits, show
from gateway.evaluate.files import find_pictures, read_pairs
from gateway.evaluate.measure import Measured, Plan, measure
from gateway.evaluate.page import probe, render, write
from gateway.evaluate.summary import CURVE_FLOOR, Catalogue, Summary, summarise
from gateway.evaluate.terminal import show_comparison, show_summary
from gateway.make import load_embedder
from gateway.question import Scrutiny

HIT, MISS, ERROR = 0, 1, 2
NONE_WRONG, WRONG = 0, 1

_HEAT_SUFFIXES: Final = (".png", ".html", ".htm")
NO_MAP: Final = "The pictures could not be laid on each other, so there is no map of the difference."


@dataclass(frozen=True, slots=True)
class Wanted:
    """The flags of `lookalike evaluate`."""

    folder: Path
    pairs: Path | None
    edits: int
    limit: int | None
    jobs: int | None
    seed: int
    report: Path | None
    as_json: bool


def run_compare(
    settings: Settings, stored: Path, asked: Path, heat: Path | None, as_json: bool, out: Console, err: Console
) -> int:
    try:
        if heat is not None and heat.suffix.lower() not in _HEAT_SUFFIXES:
            raise BadInput(f"--heat {heat}: give a file that ends in .png or .html")
        files = load(stored), load(asked)  # before the embedder, which may take its time
        loaded = _loaded(settings, err)
        made = compare(*files, loaded.embedder, settings)
        if as_json:
            out.print_json(json.dumps(made.as_json()))
        else:
            show_comparison(made, out)
        if heat is not None:
            _write_heat(made, heat)
            err.print(f"written: {escape(str(heat))}", highlight=False)
    except BadInput as error:
        err.print(f"[red]{escape(str(error))}[/]", highlight=False)
        return ERROR
    return HIT if made.hit else MISS


def _write_heat(made: Comparison, file: Path) -> None:
    if made.views is None:
        raise BadInput("no picture of the difference: one of the two has no plain rendering (16-bit and the like)")
    stored, asked = made.views
    told = made.told or guard.explain(stored, asked)  # an exact or a pixel hit is drawn too
    if file.suffix.lower() == ".png":
        if told.asked is not None and told.heat is not None:
            shown = heating.overlay(told.asked, told.heat)
        else:
            shown = heating.beside(stored.rgb, asked.rgb)
        _, data = cv2.imencode(".png", cv2.cvtColor(shown, cv2.COLOR_RGB2BGR))
        write(file, data.tobytes())
        return
    figures = show(told, stored, asked)
    note = "" if told.heat is not None or made.hit else NO_MAP
    write(file, render("compare.html.j2", title=f"lookalike: {made.outcome}", told=made, shown=figures, note=note))


def run_evaluate(settings: Settings, wanted: Wanted, out: Console, err: Console) -> int:
    try:
        names = find_pictures(wanted.folder, wanted.limit, wanted.seed)
        judged = read_pairs(wanted.pairs, wanted.folder) if wanted.pairs else []
        if wanted.report is not None:
            probe(wanted.report)  # what cannot be written is said now, not after an hour
        loaded = _loaded(settings, err)
    except BadInput as error:
        err.print(f"[red]{escape(str(error))}[/]", highlight=False)
        return ERROR
    threshold = loaded.embedder.threshold
    embedder = _resolved(settings, loaded)
    jobs = wanted.jobs or (1 if embedder == "clip" else os.cpu_count() or 1)
    with tempfile.TemporaryDirectory(prefix="lookalike-evaluate-") as kept:
        setup = Setup(
            settings=settings.model_dump() | {"embedder": embedder},
            root=wanted.folder,
            kept=Path(kept),
            floor=min(CURVE_FLOOR, threshold),
            seed=wanted.seed,
        )
        with _progress(err) as bar:
            measured = measure(setup, jobs, Plan(names, judged, wanted.edits), _Steps(bar), loaded.embedder)
        catalogue = Catalogue(measured.seen, judged)
        summary = summarise(measured.trials, catalogue, threshold, settings.limit(Scrutiny.NORMAL))
        about = _about(wanted, measured, loaded, threshold)
        if wanted.as_json:
            out.print_json(json.dumps(reporting.as_json(summary, measured, about, catalogue.name)))
        else:
            show_summary(summary, measured, catalogue.name, out)
        if not (measured.seen or measured.stopped):
            words = f"Nothing was measured: none of the pictures in {wanted.folder} can be used"
            err.print(words, style="red", markup=False, highlight=False)
            return ERROR
        if wanted.report is not None:
            with _progress(err) as bar:
                steps = _Steps(bar)
                page = reporting.html(
                    summary,
                    measured,
                    about,
                    Exhibits(wanted.folder, Path(kept), wanted.seed),
                    catalogue.name,
                    lambda done, total: steps("drawing the report", done, total),
                )
            write(wanted.report, page)
            err.print(f"written: {escape(str(wanted.report))}", highlight=False)
    return _status(summary, measured)


def _status(summary: Summary, measured: Measured) -> int:
    if summary.wrong:
        return WRONG
    return NONE_WRONG if measured.trials else ERROR


def _loaded(settings: Settings, err: Console) -> Loaded:
    try:
        loaded = load_embedder(settings)
    except EmbedderUnavailable as error:
        raise BadInput(f"the embedder cannot be had: {error}") from error
    for words in filter(None, (loaded.note, loaded.caution)):
        err.print(f"[yellow]{escape(words)}[/]", highlight=False)
    return loaded


def _resolved(settings: Settings, loaded: Loaded) -> str:
    """What "auto" came to, so that every process has the same embedder."""
    if settings.embedder != "auto":
        return settings.embedder
    return "dct" if loaded.note else "clip"


def _about(wanted: Wanted, measured: Measured, loaded: Loaded, threshold: float) -> dict[str, str]:
    return {
        "folder": str(wanted.folder),
        "pictures": str(len(measured.seen)),
        "embedder": loaded.embedder.space.key,
        "threshold": f"{threshold:.2f}",
        "edits per picture": str(wanted.edits),
        "seed": str(wanted.seed),
    }


def _progress(err: Console) -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=err, transient=True, disable=not err.is_terminal)


class _Steps:
    """A bar for each thing that is being done."""

    def __init__(self, bar: Progress) -> None:
        self._bar = bar
        self._tasks: dict[str, TaskID] = {}

    def __call__(self, what: str, done: int, total: int) -> None:
        if what not in self._tasks:
            self._tasks[what] = self._bar.add_task(what, total=total)
        self._bar.update(self._tasks[what], completed=done, total=total)
