"""`lookalike import` and `lookalike export` from what is wanted to an exit status: what is open when, what is said."""

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import anyio
import httpx
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from cache.stores.directory import shows_nothing
from embeddings.base import Embedder, EmbedderUnavailable
from gateway.config import Settings
from gateway.epochfile import EPOCHS_FILE, EpochFile
from gateway.make import load_embedder, wall_clock
from gateway.transfer.answers import Came, Sender, survey
from gateway.transfer.enter import Entered, Target, enter, verify
from gateway.transfer.leave import Left, export
from gateway.transfer.words import Refused
from gateway.warm.sources import Source
from gateway.warm.target import client, of_our_own, when_ready

DONE, SOME_LEFT = 0, 1
_TIMEOUT_S = 600.0
_SHOWN = 20


@dataclass(frozen=True, slots=True)
class Archive:
    file: Path
    settings: Settings


@dataclass(frozen=True, slots=True)
class Answers:
    """Known answers, and where they go: a gateway's URL, or the settings of a store's own."""

    source: Source
    headers: dict[str, str]
    where: Settings | str
    given: dict[str, Any]


def run_export(file: Path, store: Path, as_json: bool, out: Console, err: Console) -> int:
    known = EpochFile(store / EPOCHS_FILE).read()
    with _Shown(err) as shown:
        left = export(store, file, wall_clock(), lambda done, of: shown("exporting", done, of), known.retires)
    if as_json:
        out.print_json(json.dumps(asdict(left)))
    else:
        _tell_export(left, file, out)
    return SOME_LEFT if left.damaged else DONE


def run_archive(wanted: Archive, replace: bool, recompute: bool, as_json: bool, out: Console, err: Console) -> int:
    settings, path = wanted.settings, wanted.settings.cache_dir
    if settings.store != "embedded":
        raise Refused('the store is "memory", which forgets everything on exit: an archive needs one on disk')
    target = Target(
        path=path,
        bytes_max=settings.cache_bytes_max,
        # A store that shows nothing stays one.
        keeps_looks=settings.privacy == "standard" and not shows_nothing(path),
        embedder=lambda: _embedder(settings, err),
        retired=EpochFile(path / EPOCHS_FILE).read().retires,
        replace=replace,
        recompute=recompute,
    )
    with _Shown(err) as shown:
        verified = verify(wanted.file, shown)
        entered = anyio.run(enter, wanted.file, verified, target, wall_clock, shown)
    if as_json:
        out.print_json(json.dumps(asdict(entered)))
    else:
        _tell_archive(entered, out)
    return SOME_LEFT if entered.too_large or entered.evicted else DONE


def run_answers(wanted: Answers, as_json: bool, out: Console, err: Console) -> int:
    given = wanted.given
    came = Came()
    came.of, bad = survey(wanted.source, given["skip_bad"])
    with _Shown(err) as shown:
        anyio.run(_send, wanted, came, lambda done, of: shown("importing", done, of))
    report = {
        "of": came.of,
        "stored": came.stored,
        "kept": came.kept,
        "refused": dict(came.refused),
        "bad_lines": len(bad),
    }
    if as_json:
        out.print_json(json.dumps(report))
    else:
        out.print(f"{came.stored} answers imported, {came.kept} were there already", highlight=False)
    for words in (*bad[:_SHOWN], *came.shown):
        err.print(f"[yellow]{escape(words)}[/]", highlight=False)
    if unused := wanted.source.rules.unused:
        err.print(f"[yellow]not used: {escape(', '.join(sorted(unused)))}[/]", highlight=False)
    return SOME_LEFT if bad or came.refused else DONE


async def _send(wanted: Answers, came: Came, told: Callable[[int, int], None]) -> None:
    given = wanted.given
    async with _gateway(wanted) as asking:
        sender = Sender(asking, wanted.source, wanted.headers, given["replace"], given["concurrency"], told)
        await sender.send(came)


@asynccontextmanager
async def _gateway(wanted: Answers) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the gateway that takes the answers, as its administrator."""
    token = wanted.given["token"]
    if isinstance(wanted.where, str):
        async with client(wanted.where, _TIMEOUT_S) as asking:
            await when_ready(asking, anyio.sleep)
            _authorise(asking, token)
            yield asking
        return
    own_token = wanted.where.admin_token
    async with of_our_own(wanted.where, anyio.sleep) as own, client(own.url, _TIMEOUT_S) as asking:
        _authorise(asking, own_token.get_secret_value() if own_token else token)
        yield asking


def _authorise(asking: httpx.AsyncClient, token: str | None) -> None:
    if token:
        asking.headers["authorization"] = f"Bearer {token}"


def _embedder(settings: Settings, err: Console) -> Embedder:
    try:
        with err.status("Loading the embedder"):
            return load_embedder(settings).embedder
    except EmbedderUnavailable as error:
        raise Refused(f"the embedder cannot be had, so nobody can tell whether the vectors fit: {error}") from error


def _tell_export(left: Left, file: Path, out: Console) -> None:
    out.print(f"{left.entries} answers and {left.apart} pairs judged wrong, {left.bytes:,} bytes: {escape(str(file))}")
    out.print(f"sha256 of what it holds: {left.sha256}", highlight=False)
    out.print("It holds the store's secret: whoever has it can test what was asked. Keep it as you keep the store.")
    notes = {
        "of a model that was changed, left out": left.retired,
        "damaged, left out (`lookalike check` says more)": left.damaged,
    }
    _notes(notes, out)
    if left.without_looks:
        out.print("strict privacy: no vectors and nothing of the pictures is in it", highlight=False)


def _tell_archive(entered: Entered, out: Console) -> None:
    out.print(
        f"{entered.taken} of {entered.of} answers imported, {entered.apart} more pairs judged wrong", highlight=False
    )
    _notes(
        {
            "there already, kept (--replace takes the archive's)": entered.kept,
            "expired since the export": entered.expired,
            "of a model that was changed here since": entered.retired,
            "with vectors made anew": entered.recomputed,
            "without vectors: found by bytes and pixels only": entered.without_vectors,
            "too large for cache_bytes_max": entered.too_large,
            "let go for lack of room (cache_bytes_max)": entered.evicted,
        },
        out,
    )


def _notes(counts: dict[str, int], out: Console) -> None:
    for words, count in counts.items():
        if count:
            out.print(f"  {count:>8,}  {words}", highlight=False, markup=False)


class _Shown:
    """A bar, where there is a terminal."""

    def __init__(self, err: Console) -> None:
        columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
        self._progress = Progress(*columns, console=err, transient=True, disable=not err.is_terminal)
        self._task = self._progress.add_task("", total=None)

    def __enter__(self) -> "_Shown":
        self._progress.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._progress.stop()

    def __call__(self, what: str, done: int, of: int) -> None:
        self._progress.update(self._task, description=what, completed=done, total=of)
