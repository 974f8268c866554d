"""A batch's input read line by line, and its results written: one for each line, in the input's order. Blocking."""

from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, replace
from typing import Final

from gateway.batches.objects import BATCH_OUTPUT, Batch, Counts, File, Wrong
from gateway.batches.shelf import Shelf, Writing
from gateway.batchlines import write_response
from gateway.bulk.items import Answer, BadInput, Failure, Item, Posted, Read
from gateway.bulk.journal import Journal, State
from gateway.bulk.lines import read_items, read_lines, response

_WRONG_MOST: Final = 100  # lines that are told of; the others of a bad file are not read


@dataclass(frozen=True, slots=True)
class Input:
    """An input file. `line_bytes_max`: a longer line is none that could be asked."""

    shelf: Shelf
    batch: Batch
    journal: Journal
    line_bytes_max: int

    @property
    def is_there(self) -> bool:
        return self.shelf.path(self.batch.input_file_id).exists()

    def read(self, long: set[int] | None = None) -> Iterator[Read]:
        """Each line, read again with every call; `long` is told which were too long. Raises OSError."""
        with self.shelf.path(self.batch.input_file_id).open("rb") as stream:
            lines = read_lines(stream, self.line_bytes_max)
            yield from read_items(lines if long is None else _measured(lines, self.line_bytes_max, long), self.journal)

    def check(self, lines_max: int) -> tuple[int, tuple[Wrong, ...]]:
        """How many lines there are, and what is wrong with them. Raises OSError."""
        total, found, long = 0, list[Wrong](), set[int]()
        for read in self.read(long):
            total += 1
            if total > lines_max:
                return total, (Wrong("too_many_lines", f"the file has more than {lines_max} lines: split it"),)
            if (why := self._wrong(read, long)) is not None:
                found.append(Wrong("invalid_line", why, read.line))
                if len(found) == _WRONG_MOST:
                    break
        if not total:
            return 0, (Wrong("empty_file", "the file has no line"),)
        return total, tuple(found)

    def open_items(self, ends: Callable[[], bool]) -> Generator[tuple[Item, bytes], None, None]:
        """Those that have no result yet, with their marks, until `ends`. Raises BadInput."""
        try:
            for read in self.read():
                if ends():
                    return
                if isinstance(read, Item):
                    mark = read.mark(b"")
                    if self.journal.state(read, mark) is State.OPEN:
                        yield read, mark
        except OSError as error:
            raise BadInput(f"the input file cannot be read: {error}") from error

    def _wrong(self, read: Read, long: set[int]) -> str | None:
        if not isinstance(read, Item):
            return f"line {read.line} is longer than {self.line_bytes_max} bytes" if read.line in long else str(read)
        assert isinstance(read.asks, Posted)
        if read.asks.path != self.batch.endpoint:
            return f"line {read.line} has the url {read.asks.path[:80]!r}; that of the batch is {self.batch.endpoint!r}"
        return None


def _measured(lines: Iterator[bytes], most: int, long: set[int]) -> Iterator[bytes]:
    for number, line in enumerate(lines, start=1):
        if len(line) >= most:
            long.add(number)
        yield line


def write_results(source: Input, absent: Failure, name: Callable[[], str], now_s: int) -> tuple[Batch, list[File]]:
    """Write what came, and `absent` for each line to which nothing came. The batch with its counts and files; what is
    on disk is durable, and is listed by nobody yet. Raises OSError; then nothing is left of it."""
    batch, results = source.batch, source.shelf.write()
    files: list[File] = []
    completed = failed = 0
    errors: Writing | None = None
    try:
        errors = source.shelf.write()
        for read in source.read():
            if not isinstance(read, Item):
                continue
            result = source.journal.result(read) or absent
            line = write_response(response(read.id, result))
            if isinstance(result, Answer):
                results.write(line)
                completed += 1
            else:
                errors.write(line)
                failed += 1
        kept: dict[str, str | None] = {"output": None, "error": None}
        for word, writing in (("output", results), ("error", errors)):
            if writing.bytes:
                file = File(
                    id=name(),
                    tenant=batch.tenant,
                    name=f"{batch.id}_{word}.jsonl",
                    purpose=BATCH_OUTPUT,
                    bytes=writing.bytes,
                    created_s=now_s,
                    expires_s=now_s + batch.keep_s,
                )
                writing.keep(file.id)
                files.append(file)
                kept[word] = file.id
    except BaseException:
        for file in files:
            source.shelf.drop(file.id)
        raise
    finally:
        results.discard()
        if errors is not None:
            errors.discard()
    counts = Counts(completed + failed, completed, failed)
    return replace(batch, counts=counts, output_file_id=kept["output"], error_file_id=kept["error"]), files
