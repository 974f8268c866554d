"""An evaluation from pictures to trials: look at each picture, then ask the ladder about every case.

Ctrl-C, a worker that dies and a file that vanishes end it early; what was measured until then is kept.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from itertools import groupby

from embeddings.base import Embedder
from gateway.evaluate.bench import Bench, Seen, Setup, Skipped, Task
from gateway.evaluate.cases import WAYS, Copy, Edit, Itself, Listed, Trial, copies
from gateway.evaluate.crew import Crew
from gateway.evaluate.files import Judged

Progress = Callable[[str, int, int], None]  # what is done, how much of it, of how much

LOOKING, ASKING = "looking at the pictures", "asking about copies and edits"


@dataclass(frozen=True, slots=True)
class Plan:
    """What to measure. `names` are evaluated; the pictures of `judged` are asked about each other only."""

    names: Sequence[str]
    judged: Sequence[Judged]
    edits: int
    copies: Sequence[Copy] = tuple(copies())


@dataclass(slots=True)
class Measured:
    seen: list[Seen] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)
    trials: list[Trial] = field(default_factory=list)
    stopped: str | None = None  # why it ended early


def measure(setup: Setup, jobs: int, plan: Plan, progress: Progress, embedder: Embedder | None = None) -> Measured:
    """`embedder` is the one that `setup` names, where this process has loaded it."""
    found = Measured()
    try:
        with Crew(setup, jobs, embedder) as crew:
            _look(crew, plan, found, progress)
            tasks = list(_tasks(plan, found.seen))
            total, done = sum(len(task.cases) for task in tasks), 0
            for task, trials in crew.each(_asked, tasks):
                found.trials += trials
                done += len(task.cases)
                progress(ASKING, done, total)
    except KeyboardInterrupt:
        found.stopped = "stopped by Ctrl-C"
    except BrokenProcessPool:
        found.stopped = "a worker process died, perhaps for want of memory: try fewer --jobs"
    except OSError as error:
        found.stopped = f"a file could not be read any more: {error}"
    found.trials.sort(key=lambda trial: (trial.source, repr(trial.case)))  # whatever order the workers ended in
    return found


def _look(crew: Crew, plan: Plan, found: Measured, progress: Progress) -> None:
    judged = (name for pair in plan.judged for name in (pair.one, pair.other))
    names = list(dict.fromkeys([*plan.names, *judged]))
    for number, result in enumerate(crew.each(Bench.look, names), start=1):
        if isinstance(result, Seen):
            found.seen.append(result)
        else:
            found.skipped.append(result)
        progress(LOOKING, number, len(names))
    found.seen.sort(key=lambda seen: seen.name)
    found.skipped.sort(key=lambda skipped: skipped.name)


def _asked(bench: Bench, task: Task) -> tuple[Task, list[Trial]]:
    return task, bench.trials(task)


def _tasks(plan: Plan, seen: Sequence[Seen]) -> Iterator[Task]:
    """One class of one picture at a time, so that progress moves and Ctrl-C is heard. Of files with the same bytes
    only the first is measured: the store has one entry for them."""
    by_name = {picture.name: picture for picture in seen}
    groups: dict[str, set[str]] = {}
    for picture in seen:
        groups.setdefault(picture.pixels, set()).add(picture.digest)
    edits = tuple(Edit(number, way) for number in range(plan.edits) for way in WAYS)
    measured = {by_name[name].digest: by_name[name] for name in reversed(plan.names) if name in by_name}
    for picture in sorted(measured.values(), key=lambda picture: picture.name):
        for _, variants in groupby(plan.copies, key=lambda copy: copy.group):
            yield Task(picture, tuple(variants))
        if edits:
            yield Task(picture, edits)
        yield Task(picture, (Itself(),), hidden=frozenset(groups[picture.pixels]))
    for pair in plan.judged:
        for one, other in dict.fromkeys(((pair.one, pair.other), (pair.other, pair.one))):
            if one in by_name and other in by_name:
                stored = by_name[one]
                yield Task(stored, (Listed(other, pair.same),), shown=frozenset((stored.digest,)))
