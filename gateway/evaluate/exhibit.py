"""One comparison to look at: both pictures, the heat map, a close-up, and the guard's steps, in words."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import assert_never

from cache import guard
from cache.guard import Explanation
from gateway import heat, pictures
from gateway.box import Box, Rgb
from gateway.evaluate.bench import open_rgb
from gateway.evaluate.cases import Copy, Edit, Itself, Listed, Trial, copied, edited
from gateway.evaluate.ladder import Hit, Outcome
from gateway.evaluate.words import sentence
from gateway.pictures import Picture

Name = Callable[[str], str]  # entry id -> file name

_SHOWN_PX = 560  # longest side inside a page


@dataclass(frozen=True, slots=True)
class Figure:
    caption: str
    url: str  # data:


@dataclass(frozen=True, slots=True)
class Exhibit:
    title: str
    words: str
    figures: tuple[Figure, ...]


class Exhibits:
    """Makes the pictures of a trial again, from the folder, the kept evidence and the seed."""

    def __init__(self, root: Path, kept: Path, seed: int) -> None:
        self._root, self._kept, self._seed = root, kept, seed

    def of(self, trial: Trial, name: Name) -> Exhibit:
        outcome = trial.outcome
        figures: tuple[Figure, ...] = ()
        # Where nothing was nominated, the picture that should have been.
        entry = outcome.entry or self._file(trial.source).digest
        if (asked := pictures.view(self._asked(trial))) is not None:
            stored = guard.decode((self._kept / f"{entry}.evidence").read_bytes())
            figures = tuple(show(guard.explain(stored, asked), stored, asked, _edited_box(trial, asked)))
        return Exhibit(in_words(trial, name), outcome_in_words(outcome), figures)

    def _asked(self, trial: Trial) -> Picture:
        source = self._file(trial.source)
        match trial.case:
            case Copy():
                return copied(open_rgb(source), trial.case)
            case Edit():
                picture = edited(open_rgb(source), self._seed, source.digest, trial.case)
                assert picture is not None, "a trial of an edit that cannot be made"
                return picture
            case Itself():
                return source
            case Listed(asked, _):
                return self._file(asked)
            case _:
                assert_never(trial.case)

    def _file(self, name: str) -> Picture:
        return Picture.of((self._root / name).read_bytes())


def show(told: Explanation, stored: guard.View, asked: guard.View, edit: Box | None = None) -> list[Figure]:
    """The figures of an explanation. `edit` is where the asked picture was edited, pixels of its view."""
    if told.stored is None or told.asked is None or told.heat is None:
        marked = asked.rgb if edit is None else heat.outlined(asked.rgb, edit)
        return [_figure("stored", stored.rgb), _figure("asked", marked)]
    height, width = told.asked.shape[:2]
    place = _scaled(edit, width / asked.rgb.shape[1], height / asked.rgb.shape[0]) if edit else heat.hottest(told.heat)
    figures = [
        _figure("stored", told.stored),
        _figure("asked", heat.outlined(told.asked, place) if edit else told.asked),
        _figure("difference", heat.overlay(told.asked, told.heat)),
    ]
    if edit or float(told.heat.max()) > 0:
        what = "the edit" if edit else "the largest difference"
        figures.append(_figure(f"{what}, close up: stored | asked", heat.close_up(told.stored, told.asked, place)))
    return figures


def stored_name(trial: Trial, name: Name) -> str:
    """The picture that answered, or that it was compared with."""
    return name(trial.outcome.entry) if trial.outcome.entry else trial.source


def in_words(trial: Trial, name: Name) -> str:
    """What was asked, and what was stored where the question does not say it."""
    stored = stored_name(trial, name)
    match trial.case:
        case Copy(group, variant):
            asked = f"{trial.source} as {group}, {variant}"
            return asked if stored == trial.source else f"{asked}; stored: {stored}"
        case Edit(_, way):
            asked = f"{trial.source}, {trial.edit}, sent {'as ' if way.startswith('JPEG') else ''}{way}"
            return asked if stored == trial.source else f"{asked}; stored: {stored}"
        case Itself():
            return f"{trial.source}; stored: {stored}"
        case Listed(asked, same):
            return f"{asked}; stored: {trial.source}; listed as {'the same' if same else 'another'}"
        case _:
            assert_never(trial.case)


def outcome_in_words(outcome: Outcome) -> str:
    figures = []
    if outcome.similarity is not None:
        figures.append(f"cosine {outcome.similarity:.4f}")
    if outcome.score is not None:
        figures.append(f"score {outcome.score:.2f}")
    said = (
        f"hit: {outcome.rung}" if isinstance(outcome, Hit) else f"miss: {outcome.reason} - {sentence(outcome.reason)}"
    )
    return f"{said} ({'; '.join(figures)})" if figures else said


def _figure(caption: str, rgb: Rgb) -> Figure:
    return Figure(caption, heat.data_url(rgb, _SHOWN_PX))


def _edited_box(trial: Trial, asked: guard.View) -> Box | None:
    """Where the edit is in the view; the box was measured before the picture was sent, perhaps at another size."""
    if trial.box is None or not isinstance(trial.case, Edit):
        return None
    sent = 0.75 if trial.case.way == "x0.75" else 1.0
    return _scaled(trial.box, sent * asked.rgb.shape[1] / asked.width, sent * asked.rgb.shape[0] / asked.height)


def _scaled(box: Box, across: float, down: float) -> Box:
    return Box(*(round(v) for v in (box.left * across, box.top * down, box.right * across, box.bottom * down)))
