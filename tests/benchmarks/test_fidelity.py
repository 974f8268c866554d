"""The benchmark's own judgement: bounds, lists, and a ladder that is the product's."""

import pytest

pytest.importorskip("benchmarks.fidelity", reason="needs the extra bench")

from benchmarks.drawn import drawn_pair
from benchmarks.fidelity import figures, material, methods
from benchmarks.fidelity.figures import Share
from benchmarks.fidelity.ladder import Judge, Ladder
from benchmarks.fidelity.material import drawn_name
from benchmarks.fidelity.trials import DIRECT, EDIT_WAYS, Bench, Edits, Outcome, sent
from embeddings.dct import DctEmbedder

pytestmark = pytest.mark.filterwarnings("ignore:no Chinese font found")
DCT = {"dct": DctEmbedder()}
NAMES = methods.names(DCT)
RECEIPT = 0  # seed of a small picture


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "manifest.csv").write_text(
        "file,category,same_picture_group\na.png,receipt,g1\nb.png,receipt,g1\nc.png,photo,\nd.png,photo,\ne.png,chart,\n"
    )
    (tmp_path / "hard_pairs.csv").write_text("file_a,file_b,why\na.png,e.png,[fields] x\nc.png,d.png,[cosmetic] y\n")
    (tmp_path / "positive_pairs.csv").write_text("file_a,file_b,why\nb.png,e.png,[rescale] x\nc.png,e.png,[colour] y\n")
    return tmp_path


def test_the_bound_is_clopper_and_pearsons():
    assert Share(0, 300).upper == pytest.approx(1 - 0.05 ** (1 / 300))
    assert Share(1, 100).upper == pytest.approx(0.0466, abs=1e-4)
    assert Share(3, 3).upper == 1.0


def test_lists_say_what_is_right_wrong_or_neither(folder):
    known = material.read(folder)
    assert [(pair.one, pair.other) for pair in known.hard] == [("a.png", "e.png")]
    assert [(pair.one, pair.other) for pair in known.positive] == [("b.png", "e.png")]
    assert known.are_kin("a.png", "b.png")
    assert known.are_kin("d.png", "c.png")
    assert known.are_kin("e.png", "c.png")
    assert not known.are_kin("a.png", "e.png")
    assert [known.group(file) for file in ("a.png", "c.png", "e.png")] == ["text", "photo", "text"]


def test_a_folder_without_a_manifest_is_told_what_it_lacks(tmp_path):
    with pytest.raises(SystemExit, match=r"manifest\.csv is missing"):
        material.read(tmp_path)


def test_the_ladder_serves_a_copy_and_no_edit():
    pictures = material.read(None)
    this, other, edit = drawn_name(RECEIPT), drawn_name(RECEIPT + 28), drawn_name(RECEIPT, edited=True)
    stored = [methods.keep(name, pictures.file(name), DCT) for name in (this, other)]
    ways = ((this, DIRECT), (this, ("jpeg-high", "q95")), (edit, DIRECT))
    same, copy, edited = (methods.ask(sent(pictures, *way), DCT) for way in ways)
    with Ladder(stored, "dct", DCT["dct"]) as ladder:
        assert ladder.find(same, Judge(same.view)) == this
        assert ladder.find(copy, Judge(copy.view)) == this
        assert ladder.find(edited, Judge(edited.view)) is None


def test_every_way_of_an_edit_is_tried_and_counted_as_wrong_where_taken():
    bench = Bench(material.read(None), DCT, "dct", {}, None)
    outcomes = list(Edits(RECEIPT).run(bench))
    assert {one.way for one in outcomes} >= set(EDIT_WAYS)
    assert all(one.edit == drawn_pair(RECEIPT).edit for one in outcomes)
    assert all((methods.GUARD in one.by) == (one.doubt is None) for one in outcomes)
    rows = figures.wrong(outcomes, NAMES)
    assert rows["edits, all"]["dct"].of == len(outcomes)
    assert rows["edits taken at least once"]["dct"] == Share(1, 1)  # its embedding is the same at that size
    assert rows["edits, all"][methods.EXACT].count == 0


def test_an_answer_from_another_picture_is_found_out():
    def outcome(served):
        by = frozenset({methods.LADDER})
        return Outcome("copy", "photo", "a", "a", DIRECT, by, None, 0.1, 1.0, 100, served=served)

    strange = figures.strange_answers([outcome("a"), outcome("b"), outcome(None)], lambda one, other: one == other)
    assert [one.served for one in strange] == ["b"]
