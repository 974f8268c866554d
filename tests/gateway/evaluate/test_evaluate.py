"""`lookalike evaluate` on small folders of drawn pictures, through the real ladder and a real store."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from gateway.cli import cli
from gateway.config import load_settings
from gateway.evaluate.bench import Bench, Seen, Setup, Task
from gateway.evaluate.cases import Copy, Edit, Itself
from gateway.evaluate.exhibit import Exhibits
from gateway.evaluate.files import Judged
from gateway.evaluate.ladder import Hit
from gateway.evaluate.measure import ASKING, Measured, Plan, measure
from gateway.evaluate.summary import Catalogue, Summary, summarise
from tests.cache.test_guard import edited, page, scene
from tests.fakes.pictures import jpeg, png, resized

SOME = (
    Copy("metadata", "png"),
    Copy("jpeg-high", "q85"),
    Copy("resize", "x0.9 lanczos"),
    Copy("watermark", "text at 25%"),
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("pictures")
    (root / "deep").mkdir()
    (root / "page.png").write_bytes(png(page()))
    (root / "page again.png").write_bytes(png(page()))
    (root / "deep" / "<scene>.jpg").write_bytes(jpeg(scene(), 92))
    (root / "digit.png").write_bytes(png(edited(4, "26.46")))
    (root / "broken.png").write_bytes(b"no picture")
    return root


def measured(
    folder: Path,
    kept: Path,
    names: list[str],
    jobs: int = 1,
    edits: int = 0,
    copies: tuple[Copy, ...] = SOME,
    judged: tuple[Judged, ...] = (),
) -> Measured:
    settings = load_settings(upstream="http://localhost", embedder="dct")
    setup = Setup(settings.model_dump(), folder, kept, 0.5, 1)
    return measure(setup, jobs, Plan(names, judged, edits, copies), lambda what, done, total: None)


def summed(found: Measured, judged: tuple[Judged, ...] = (), threshold: float = 0.65) -> Summary:
    return summarise(found.trials, Catalogue(found.seen, judged), threshold)


def test_copies_are_found_and_edits_are_not(folder: Path, tmp_path: Path):
    names = ["page.png", "deep/<scene>.jpg", "digit.png"]
    found = measured(folder, tmp_path, names, edits=2)
    summary = summed(found)

    assert {whole.name: (whole.found, whole.asked) for whole, _ in summary.classes} == {
        "metadata": (3, 3),
        "jpeg-high": (3, 3),
        "resize": (3, 3),
        "watermark": (0, 3),
    }
    assert summary.recall == 1.0
    assert (summary.wrong, summary.unjudged) == ((), ())
    assert (summary.look_alikes, summary.look_alikes_served) == (6, 0)
    assert summary.bound == pytest.approx(1 - 0.05 ** (1 / 6))
    assert [type(trial.case) for trial in found.trials].count(Edit) == 3 * 2 * 3


def test_every_rung_is_climbed_in_order(folder: Path, tmp_path: Path):
    found = measured(folder, tmp_path, ["page.png"])
    rungs = {trial.case: trial.outcome.rung for trial in found.trials if isinstance(trial.outcome, Hit)}

    assert rungs[SOME[0]] in ("exact", "pixel")
    assert rungs[SOME[1]] == "near"


def test_a_picture_is_asked_against_the_others_but_not_against_its_own_copies(folder: Path, tmp_path: Path):
    found = measured(folder, tmp_path, ["page.png", "page again.png", "digit.png"], copies=())
    crosses = [trial for trial in found.trials if isinstance(trial.case, Itself)]

    assert len(found.seen) == 3
    assert len(crosses) == 2  # two files of the same bytes are one entry
    assert all(not isinstance(trial.outcome, Hit) for trial in crosses)
    assert {trial.outcome.entry for trial in crosses} == {seen.digest for seen in found.seen}


def test_an_edit_is_made_again_to_be_shown(folder: Path, tmp_path: Path):
    found = measured(folder, tmp_path, ["page.png"], copies=(), edits=1)
    catalogue = Catalogue(found.seen, ())
    for trial in found.trials:
        if isinstance(trial.case, Edit):
            shown = Exhibits(folder, tmp_path, 1).of(trial, catalogue.name)
            assert trial.edit is not None
            assert trial.edit in shown.title
            assert [figure.caption for figure in shown.figures][:3] == ["stored", "asked", "difference"]
            assert shown.figures[3].caption.startswith("the edit")


def test_what_cannot_be_read_is_listed_and_skipped(folder: Path, tmp_path: Path):
    found = measured(folder, tmp_path, ["broken.png", "gone.png", "page.png"], copies=())

    assert [skipped.name for skipped in found.skipped] == ["broken.png", "gone.png"]
    assert "not a picture" in found.skipped[0].why
    assert [seen.name for seen in found.seen] == ["page.png"]


def test_identical_files_listed_as_different_are_a_wrong_hit(folder: Path, tmp_path: Path):
    judged = (Judged("page.png", "page again.png", False, 2), Judged("page.png", "digit.png", False, 3))
    summary = summed(measured(folder, tmp_path, ["page.png"], copies=(), judged=judged), judged)

    assert len(summary.wrong) == 2  # either way round
    assert (summary.look_alikes, summary.look_alikes_served) == (2, 1)


def test_a_pair_listed_as_the_same_counts_as_found(folder: Path, tmp_path: Path):
    (folder / "page.jpg").write_bytes(jpeg(resized(page(), 0.9), 90))
    names, judged = ["page.png", "page.jpg"], (Judged("page.png", "page.jpg", True, 2),)
    found = measured(folder, tmp_path, names, copies=(), judged=judged)
    (folder / "page.jpg").unlink()
    summary, without = summed(found, judged), summed(found)

    assert summary.listed is not None
    assert (summary.listed.found, summary.listed.asked) == (2, 2)
    assert summary.unjudged == ()
    assert len(without.unjudged) == 1


def test_ctrl_c_keeps_what_was_measured(folder: Path, tmp_path: Path):
    settings = load_settings(upstream="http://localhost", embedder="dct")
    setup = Setup(settings.model_dump(), folder, tmp_path, 0.5, 1)

    def interrupt(what: str, done: int, total: int) -> None:
        if what == ASKING and done >= 2:
            raise KeyboardInterrupt

    found = measure(setup, 1, Plan(["page.png", "digit.png"], (), 1, SOME), interrupt)

    assert found.stopped == "stopped by Ctrl-C"
    assert len(found.trials) == 2


@pytest.mark.slow
def test_several_processes_measure_what_one_does(folder: Path, tmp_path: Path):
    names = ["page.png", "deep/<scene>.jpg"]
    for jobs in ("1", "2"):
        (tmp_path / jobs).mkdir()
    alone = measured(folder, tmp_path / "1", names, edits=1)
    together = measured(folder, tmp_path / "2", names, jobs=2, edits=1)

    assert alone.trials == together.trials
    assert alone.seen == together.seen


def test_a_worker_that_is_told_to_stop_ends_after_the_case_in_hand(folder: Path, tmp_path: Path):
    settings = load_settings(upstream="http://localhost", embedder="dct")
    bench = Bench(Setup(settings.model_dump(), folder, tmp_path, 0.5, 1), stopped=lambda: True)
    seen = bench.look("page.png")

    assert isinstance(seen, Seen)
    assert len(bench.trials(Task(seen, SOME))) == 1


def evaluated(folder: Path, *flags: str) -> Result:
    return CliRunner().invoke(cli, ["evaluate", str(folder), "--embedder", "dct", "--jobs", "1", *flags])


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that is evaluated in a second or two."""
    root = tmp_path_factory.mktemp("small")
    (root / "<b>scene & co.png").write_bytes(png(scene().resize((160, 120))))
    (root / "broken.jpg").write_bytes(b"")
    return root


@pytest.mark.slow
def test_the_command_prints_figures_and_writes_a_page(small: Path, tmp_path: Path):
    report = tmp_path / "report.html"
    said = evaluated(small, "--json", "--edits", "1", "--report", str(report))
    told, text = json.loads(said.stdout), report.read_text()

    assert said.exit_code == 0, said.output
    assert told["classes"]["metadata"]["found"] == 1
    assert told["skipped"][0]["name"] == "broken.jpg"
    assert told["look_alikes"] == 1
    assert len(told["curve"]) == 50
    assert told["curve"][0]["recall"] >= told["curve"][-1]["recall"]
    page_of(text)
    assert "&lt;b&gt;scene &amp; co.png" in text
    assert "<b>scene" not in text


@pytest.mark.slow
def test_a_wrong_hit_is_shown_with_both_pictures_and_ends_with_one(small: Path, tmp_path: Path):
    pairs, report = tmp_path / "pairs.csv", tmp_path / "report.html"
    pairs.write_text("file_a,file_b,same\n<b>scene & co.png,<b>scene & co.png,no\n")
    said = evaluated(small, "--edits", "0", "--pairs", str(pairs), "--report", str(report))
    text = report.read_text()

    assert said.exit_code == 1, said.output
    assert "wrong hits: 1" in said.output
    assert "1 of 1 look-alikes served" in said.output
    wrong = text[text.index("Wrong hits") : text.index("Copies answered")]
    assert wrong.count("data:image/jpeg;base64,") >= 3
    page_of(text)


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--pairs", "gone.csv"], "gone.csv cannot be read"),
        (["--report", "no/such/folder/report.html"], "cannot be written"),
    ],
)
def test_bad_input_is_refused_before_anything_is_measured(small: Path, flags: list[str], words: str):
    said = evaluated(small, *flags)

    assert said.exit_code == 2
    assert words in said.output


def test_an_empty_folder_is_an_error(tmp_path: Path):
    said = evaluated(tmp_path)

    assert said.exit_code == 2
    assert "no picture in" in said.output


def page_of(text: str) -> None:
    """Asserts that a page is well-formed and loads nothing."""

    class Page(HTMLParser):
        def __init__(self) -> None:
            super().__init__()
            self.open: list[str] = []

        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            assert tag not in ("script", "link", "iframe", "object")
            for name, value in attrs:
                if name in ("src", "href", "srcset", "data", "action"):
                    assert (value or "").startswith("data:"), value
            if tag not in ("meta", "img", "br"):
                self.open.append(tag)

        def handle_endtag(self, tag: str) -> None:
            assert self.open.pop() == tag

    parser = Page()
    parser.feed(text)
    assert parser.open == []
    assert not re.search(r"https?://|url\(|@import", text)


@pytest.mark.parametrize("flags", [[], ["--json"]])
def test_a_folder_in_which_no_picture_can_be_used_is_told_and_is_bad_input(tmp_path: Path, flags: list[str]):
    (tmp_path / "broken.jpg").write_bytes(b"no picture")
    said = CliRunner().invoke(cli, ["evaluate", str(tmp_path), "--embedder", "dct", "--jobs", "1", *flags])

    assert said.exit_code == 2
    assert f"Nothing was measured: none of the pictures in {tmp_path} can be used" in said.stderr
    assert "broken.jpg" in said.stdout  # and why
    assert "Copies answered" not in said.stdout
