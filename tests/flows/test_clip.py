"""Near hits nominated by a real open_clip model (tiny, random weights) that a gateway loads by its settings."""

from pathlib import Path

from gateway.config import Settings
from gateway.demo import cards
from tests.fakes import clip_checkpoint
from tests.fakes.pictures import card, jpeg
from tests.fakes.upstream import FakeUpstream
from tests.flows.conftest import Build, gateway_over, serving, wait_until_ready
from tests.flows.test_wishes import post, status


def test_clip_nominates_and_the_guard_decides(build: Build, tmp_path: Path):
    clip_checkpoint.write(tmp_path / "clip")
    stage = build(embedder="clip", clip_model=f"local-dir:{tmp_path / 'clip'}")
    post(stage, card("48.20"))

    assert "detail=near" in status(stage, jpeg(cards.draw("48.20"), 88))
    assert status(stage, card("48.26")).endswith("detail=local-change")
    assert stage.health()["embedder"]["space"].startswith("clip:")
    assert stage.health()["embedder"]["threshold"] == 0.95


def test_vectors_of_other_weights_are_never_compared(tmp_path: Path):
    found = []
    with serving(FakeUpstream()) as upstream:
        for seed in (0, 1):
            clip_checkpoint.write(tmp_path / str(seed), seed)
            model = f"local-dir:{tmp_path / str(seed)}"
            settings = Settings(upstream=upstream, cache_dir=tmp_path / "store", embedder="clip", clip_model=model)
            with gateway_over(settings) as stage:
                wait_until_ready(stage)
                found.append(status(stage, card("48.20")).partition("; ")[0])
                found.append(status(stage, jpeg(cards.draw("48.20"), 88), cache_control="no-store"))

    assert found[0] == "fwd=miss"
    assert found[1].endswith("detail=near")
    assert found[2] == "hit"  # the same bytes need no vectors
    assert found[3].endswith("detail=new-picture")
