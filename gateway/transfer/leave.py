"""`lookalike export`: a stopped store as one archive. Blocking, one entry in memory at a time."""

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from cache.archive import About, Writer
from cache.entry import Entry
from cache.errors import StoreBusy, StoreFault
from cache.stores.transfer import Outgoing
from gateway.transfer.words import Refused

Told = Callable[[int, int], None]  # so many of so many


@dataclass(frozen=True, slots=True)
class Left:
    """What an archive holds, and what was left out of it."""

    entries: int
    apart: int
    retired: int  # of models that are being changed, or were before their entries could be deleted
    damaged: int
    bytes: int
    sha256: str
    without_looks: bool


def export(store: Path, file: Path, now_s: float, told: Told, retired: Callable[[Entry], bool]) -> Left:
    """Write what is not over, whole or not at all: the file gets its name last. `retired` says what of it is not to be
    served any more. Raises Refused."""
    if file.exists():
        raise Refused(f"{file} is there already: delete it, or give another name")
    try:
        outgoing = Outgoing.open(store)
    except StoreBusy as error:
        raise Refused(f"{store} is in use: stop the gateway that runs on it, then export") from error
    except StoreFault as error:
        raise Refused(str(error)) from error
    part = file.with_name(f"{file.name}.part")
    try:
        with _private(part) as stream:
            left = _write(outgoing, stream, now_s, told, retired)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(part, file)
    except (OSError, StoreFault) as error:
        part.unlink(missing_ok=True)
        raise Refused(f"{file} was not written: {error}") from error
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    finally:
        outgoing.close()
    return left


def _write(outgoing: Outgoing, stream: BinaryIO, now_s: float, told: Told, is_retired: Callable[[Entry], bool]) -> Left:
    living, damaged = outgoing.living(now_s)
    writer = Writer(stream, About(outgoing.secret, now_s, len(living), outgoing.without_looks))
    for pair in outgoing.pairs():
        writer.pair(pair)
    retired = 0
    for entry_id in _counted(living, told):
        record = outgoing.record(entry_id)
        if record is None:
            damaged += 1
        elif is_retired(record.entry):
            retired += 1
        else:
            writer.entry(record)
    end = writer.end()
    return Left(end.entries, end.apart, retired, damaged, stream.tell(), end.sha256, outgoing.without_looks)


def _counted(living: list[str], told: Told) -> Iterable[str]:
    for number, entry_id in enumerate(living, start=1):
        yield entry_id
        told(number, len(living))


def _private(part: Path) -> BinaryIO:
    """A new file that its owner alone may read: it holds the store's secret."""
    part.unlink(missing_ok=True)  # of an export that was killed
    return os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")
